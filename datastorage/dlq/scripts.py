"""The steps that Redis runs as a whole.

Those that move an entry delete it first and add it then. Redis at its ``maxmemory`` refuses the first
write of a script if that needs memory, and lets the others of the same script pass: a full Redis goes
on giving back what it holds, and takes nothing new. The read before the first write is there so that
a key of the wrong type stops the script before anything is deleted.
"""

from typing import Final

# Check and append in one step, so that workers and pods at the same time cannot overshoot, and a batch
# is queued completely or not at all. Parked entries count: they come back into the stream.
ENQUEUE: Final = """
local depth = redis.call('XLEN', KEYS[1])
local parked = redis.call('ZCARD', KEYS[2])
local count = (#ARGV - 1) / 2
if depth + parked + count > tonumber(ARGV[1]) then return {0, depth} end
for i = 1, count do
  redis.call('XADD', KEYS[1], '*', 'message', ARGV[2 * i])
  if ARGV[2 * i + 1] ~= '' then redis.call('SADD', KEYS[3], ARGV[2 * i + 1]) end
end
return {1, depth + count}
"""

# No entry has the id 0-0: deleting it makes room for the rule above, and changes nothing.
CREATE_GROUP: Final = """
redis.call('XDEL', KEYS[1], '0-0')
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if created.err and not string.find(created.err, 'BUSYGROUP', 1, true) then return created end
return 1
"""

# Neither of the two raises the delivery counter, as the commands with payload would: to be read again
# beside the entry of which a process died is no fault. Entries that somebody deleted stay in the pending
# list until acknowledged.
OWN: Final = """
local found, after = {}, ARGV[3]
repeat
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '(' .. after, '+', ARGV[4], ARGV[2])
  for _, each in ipairs(pending) do
    after = each[1]
    local entry = redis.call('XRANGE', KEYS[1], after, after)[1]
    if entry then found[#found + 1] = {after, entry[2], each[4]}
    else redis.call('XACK', KEYS[1], ARGV[1], after) end
  end
until #found > 0 or #pending == 0
return found
"""

CLAIM: Final = """
local range = {ARGV[4], 'COUNT', ARGV[5], 'JUSTID'}
local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], unpack(range))
local found = {}
for _, id in ipairs(claimed[2]) do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry and pending then found[#found + 1] = {id, entry[2], pending[4]} end
end
return {claimed[1], found}
"""

# A consumer that is removed takes its pending entries out of everybody's sight, so it must have none at this
# very moment: another process of the same name may just have read some.
REMOVE_CONSUMERS: Final = """
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then return 0 end
local removed = 0
for _, facts in ipairs(consumers) do
  local of = {}
  for i = 1, #facts, 2 do of[facts[i]] = facts[i + 1] end
  if of.pending == 0 and (of.name == ARGV[2] or of.idle >= tonumber(ARGV[3])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name)
    removed = removed + 1
  end
end
return removed
"""

# Two pods may hold the same entry: only the one that still finds it moves it, or it would be there twice.
PARK: Final = """
redis.call('ZCARD', KEYS[2])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
if redis.call('XDEL', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
return 1
"""

PROMOTE: Final = """
redis.call('XLEN', KEYS[2])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, message in ipairs(due) do
  redis.call('ZREM', KEYS[1], message)
  redis.call('XADD', KEYS[2], '*', 'message', message)
end
return #due
"""

# The dead-letter stream is bounded without trimming too: when it is full the entry has to stay.
BURY: Final = """
local room = redis.call('XLEN', KEYS[2]) < tonumber(ARGV[1])
if #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then
  redis.call('XACK', KEYS[1], ARGV[2], ARGV[3])
  return 0
end
if not room then return -1 end
redis.call('XACK', KEYS[1], ARGV[2], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('XADD', KEYS[2], '*', unpack(fields))
if ARGV[4] ~= '' then redis.call('SREM', KEYS[3], ARGV[4]) end
return 1
"""

RESCHEDULE: Final = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
return 1
"""

# An operator who is cut off half-way finds the record in exactly one place.
REVIVE: Final = """
redis.call('XLEN', KEYS[2])
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'message', ARGV[2])
if ARGV[3] ~= '' then redis.call('SADD', KEYS[3], ARGV[3]) end
return 1
"""
