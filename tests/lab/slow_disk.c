/* A disk that takes its time: every flush waits as long as the file named by SLOW_DISK says, in milliseconds.
   While one waits, a file of that name with ".busy" behind it exists. Loaded with LD_PRELOAD. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void drag(void) {
    const char *path = getenv("SLOW_DISK");
    FILE *file = path ? fopen(path, "r") : NULL;
    char busy[4096];
    long milliseconds = 0;
    if (!file) return;
    if (fscanf(file, "%ld", &milliseconds) != 1) milliseconds = 0;
    fclose(file);
    if (milliseconds <= 0) return;
    snprintf(busy, sizeof busy, "%s.busy", path);
    close(open(busy, O_CREAT | O_WRONLY, 0600));
    usleep(milliseconds * 1000);
    unlink(busy);
}

int fdatasync(int descriptor) { drag(); return syscall(SYS_fdatasync, descriptor); }
int fsync(int descriptor) { drag(); return syscall(SYS_fsync, descriptor); }
