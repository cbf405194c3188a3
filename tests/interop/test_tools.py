"""Tools that others wrote read our log as it is: tessera's fsck, x/mod of Go, and the witness litewitness.

They come from the module proxy of Go, so this is a command of its own: ``tox run -e interop``.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text

from datastorage.ledger.keys import Algorithm, VerifierKey
from tests.support import verifier
from tests.support.builders import EVENTS, an_event
from tests.support.golden_log import owner_of
from tests.support.ledger_stand import LEDGER, LedgerStand
from tests.support.ledger_vectors import document, key
from tests.support.servers import Servers, migrated_database
from tests.support.service import free_port
from tests.support.waiting import eventually
from tests.support.writes import batch_created, created

FSCK = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
WITNESS = "filippo.io/torchwood/cmd/litewitness@v0.8.0"
WITNESS_CONTROL = "filippo.io/torchwood/cmd/witnessctl@v0.8.0"
LEAVES = 100_000
ORIGIN = document("keys.json")["origin"]
Build = Callable[[str], Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a command from a module, or from a folder of ours."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go here")
    binaries = tmp_path_factory.mktemp("go")

    def built(what: str) -> Path:
        folder = Path(what) if Path(what).is_dir() else binaries
        command = [str(go), "install", "." if Path(what).is_dir() else what]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | {"GOBIN": str(binaries)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"{what} cannot be had: {done.stderr.splitlines()[-1]}")
        return binaries / what.partition("@")[0].rsplit("/", 1)[-1]

    return built


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("key") / "key.pem"
    file.write_text(document("keys.json")["key"]["private_pem"])
    return {"LEDGER_SIGNING_KEY_FILE": str(file), "LEDGER_ORIGIN": ORIGIN, "LEDGER_PUBLISH_INTERVAL": "1s"}


@contextmanager
def served(servers: Servers, redis_url: str, folder: Path, **settings: str) -> Iterator[LedgerStand]:
    with (
        migrated_database(servers.postgres_url) as database,
        LedgerStand(database, redis_url, folder, settings) as stand,
    ):
        yield stand


@pytest.fixture(scope="module")
def large(
    servers: Servers, redis_url: str, tmp_path_factory: pytest.TempPathFactory, signing: dict[str, str]
) -> Iterator[LedgerStand]:
    """A log of a hundred thousand leaves."""
    with served(servers, redis_url, tmp_path_factory.mktemp("large"), **signing) as stand:
        for _ in range(LEAVES // 500):
            batch_created(stand.api, [an_event() for _ in range(500)])
        eventually(lambda: size_of(stand) >= LEAVES, timeout_seconds=120)
        yield stand


def size_of(stand: LedgerStand) -> int:
    return int(stand.api.get(f"{LEDGER}/checkpoint").headers["ETag"].strip('"'))


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def checked_by_others(stand: LedgerStand, build: Build, folder: Path) -> None:
    url, vkey = f"{stand.api.url}{LEDGER}", key().vkey
    (folder / "vkey").write_text(vkey)
    run(build(FSCK), "--storage_url", f"{url}/", "--public_key", folder / "vkey", "--ui=false", "-N", "4")
    size = run(build(str(Path(__file__).parent / "tlog")), url, vkey)
    assert int(size) >= LEAVES


def test_log_is_read_unchanged(large: LedgerStand, build: Build, tmp_path: Path) -> None:
    checked_by_others(large, build, tmp_path)


def test_log_is_read_unchanged_when_a_month_is_gone(large: LedgerStand, build: Build, tmp_path: Path) -> None:
    with owner_of(large.database) as owner:
        month = owner.execute(
            text("SELECT DISTINCT tableoid::regclass::text FROM audit_events ORDER BY 1 LIMIT 1")
        ).scalar_one()
        owner.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {month}"))

    checked_by_others(large, build, tmp_path)


@contextmanager
def litewitness(build: Build, folder: Path) -> Iterator[tuple[VerifierKey, str]]:
    """Run a witness that knows our log; yield its key and where it listens."""
    private = Ed25519PrivateKey.generate()
    pem = folder / "witness.pem"
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    pem.chmod(0o600)
    agent, database, port = folder / "agent", folder / "witness.db", free_port()
    running = [subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL)]
    try:
        eventually(agent.exists)
        subprocess.run(
            ["ssh-add", str(pem)], env=os.environ | {"SSH_AUTH_SOCK": str(agent)}, check=True,
            capture_output=True,
        )  # fmt: skip
        fingerprint = run("ssh-keygen", "-l", "-f", pem).split()[1]
        control = build(WITNESS_CONTROL)
        run(control, "add-log", "-db", database, "-origin", ORIGIN)
        run(control, "add-key", "-db", database, "-origin", ORIGIN, "-key", key().vkey)
        witness = [build(WITNESS), "-db", database, "-name", "witness.example.org", "-key", fingerprint]
        command = [*witness, "-ssh-agent", agent, "-listen", f"127.0.0.1:{port}"]
        running.append(subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL))
        public = private.public_key().public_bytes_raw()
        yield VerifierKey("witness.example.org", Algorithm.COSIGNATURE, public), f"http://127.0.0.1:{port}"
    finally:
        for process in running:
            process.terminate()
            process.wait()


def test_witness_cosigns(
    servers: Servers, redis_url: str, build: Build, tmp_path: Path, signing: dict[str, str]
) -> None:
    for tool in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here")
    with (
        litewitness(build, tmp_path) as (witness, url),
        served(
            servers, redis_url, tmp_path / "service", **signing, LEDGER_WITNESSES=f"{witness.vkey} {url}"
        ) as stand,
    ):
        event_id = created(stand.api, an_event()).json["event_id"]
        cosigned = witness.name.encode()
        eventually(lambda: cosigned in stand.proof(event_id).body, timeout_seconds=60)
        proof, read = stand.proof(event_id).body, stand.api.get(f"{EVENTS}/{event_id}").body

    (tmp_path / "e.json").write_bytes(read)
    (tmp_path / "e.tlog-proof").write_bytes(proof)
    arguments = ["event", str(tmp_path / "e.json"), str(tmp_path / "e.tlog-proof"), "--key", key().vkey]
    code, output = verifier.run([*arguments, "--witness", witness.vkey, "--quorum", "1"])
    assert code == 0, output
