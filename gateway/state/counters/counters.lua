-- All that Redis does for the counters, in one atomic step: a batch of requests of one replica, each decided on its own.
--
-- KEYS     1 epoch      a random word; whoever finds another one than before knows that everything is new and empty
--          2 tickets    hash: ticket -> what it took
--          3 leases     sorted set: ticket -> when its lease ends, in milliseconds
--          4 replicas   sorted set: replica -> until when it counts as alive
--          5 the number of the last batch of settlements of this replica
--          6.. counters, each a hash: "t" total; "o" the oldest bucket there may be; and bucket -> amount
-- ARGV     1 the batch, in MessagePack, its arrays as gateway/stores/batch.py has them
--          2 for tests: the time in milliseconds, in place of Redis's own
--
-- A width says how a counter's time is cut: a number is the milliseconds of one of the 100 buckets of a sliding window;
-- 0 is no time at all, for what is open; an array holds the begins of calendar windows, in seconds: that of the window
-- that matters, or of several, of which Redis's clock chooses one. The last is an end only.
--
-- Totals are 64-bit integers, which Lua's numbers are not: they are added up by Redis and compared as text.

local BUCKETS = 100
local GRACE = 1000
local EPOCH, TICKETS, LEASES, REPLICAS, LAST = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local EXACT = 9007199254740992
local DAY = 86400000
local LONG = 100 * DAY
local ENDED_AT_ONCE = 20

local batch = cmsgpack.unpack(ARGV[1])
local known_epoch, fresh_epoch, replica, lease, max_age = batch[1], batch[2], batch[3], batch[4], batch[5]
local renewed, number, settled, reserved, looked_at, restored = batch[6], batch[7], batch[8], batch[9], batch[10], batch[11]

local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or time[1] * 1000 + math.floor(time[2] / 1000)

-- Whether a <= b, both integers as text. A negative b is written as "", and holds nothing.
local function is_within(a, b)
  return #a < #b or (#a == #b and a <= b)
end

-- A counter as it is now, without what no longer counts.
local function look(key, width)
  local counter = {key = key, width = width}
  if type(width) == 'table' then
    local i = 1
    while width[i + 2] and now >= width[i + 1] * 1000 do i = i + 1 end
    counter.bucket, counter.first, counter.free = width[i], width[i], width[i + 1] * 1000
  elseif width == 0 then
    counter.bucket, counter.first, counter.free = 0, 0, now + max_age + lease
  else
    counter.bucket = math.floor(now / width)
    counter.first, counter.free = counter.bucket - BUCKETS, (counter.bucket + 1 + BUCKETS) * width
  end
  local found = redis.call('HMGET', key, 't', 'o')
  counter.used, counter.oldest = found[1] or '0', tonumber(found[2])
  if not counter.oldest or counter.oldest >= counter.first then return counter end

  if type(width) == 'table' or counter.first - counter.oldest > 2 * BUCKETS then
    redis.call('DEL', key)
    counter.used, counter.oldest = '0', nil
    return counter
  end
  local gone = {}
  for bucket = counter.oldest, counter.first - 1 do gone[#gone + 1] = bucket end
  for _, amount in ipairs(redis.call('HMGET', key, unpack(gone))) do
    if amount and amount ~= '0' then redis.call('HINCRBY', key, 't', '-' .. amount) end
  end
  redis.call('HDEL', key, unpack(gone))
  redis.call('HSET', key, 'o', counter.first)
  counter.used, counter.oldest = redis.call('HGET', key, 't'), counter.first
  return counter
end

local function add(counter, bucket, amount)
  if amount == 0 or bucket < counter.first or (type(counter.width) == 'table' and bucket < (counter.oldest or 0)) then
    return
  end
  local key = counter.key
  local is_new = redis.call('HINCRBY', key, bucket, amount) == amount
  local used = redis.call('HINCRBY', key, 't', amount)
  counter.used = used < EXACT and string.format('%.0f', used) or redis.call('HGET', key, 't')
  if not counter.oldest or bucket < counter.oldest then
    redis.call('HSET', key, 'o', bucket)
    counter.oldest = bucket
  end
  if is_new or counter.width == 0 then redis.call('PEXPIREAT', key, counter.free + GRACE) end
end

-- Until when something of it counts, and when it has room: milliseconds since 1970; -1: never.
local function outlook(counter, room)
  local has_room = room == '' and -1 or now
  if type(counter.width) == 'table' or counter.width == 0 then
    local free = counter.used == '0' and now or counter.free
    return free, (room == '' or is_within(counter.used, room)) and has_room or free
  end
  local buckets, amounts = {}, {}
  local fields = redis.call('HGETALL', counter.key)
  for i = 1, #fields, 2 do
    local bucket, amount = tonumber(fields[i]), tonumber(fields[i + 1])
    if bucket and amount ~= 0 then
      buckets[#buckets + 1], amounts[bucket] = bucket, amount
    end
  end
  table.sort(buckets)
  local function free(bucket) return (bucket + 1 + BUCKETS) * counter.width end
  local excess = room == '' and 0 or tonumber(counter.used) - tonumber(room)
  for _, bucket in ipairs(buckets) do
    if excess <= 0 then break end
    excess, has_room = excess - amounts[bucket], free(bucket)
  end
  return #buckets > 0 and free(buckets[#buckets]) or now, has_room
end

-- The place of the hold that refuses; 0: none does. See refusing() in gateway/stores/refusal.py.
local function refusing(holds, counters)
  local soft, has_room = 0, {}
  for i, hold in ipairs(holds) do
    local room, mode, budget = hold[4], hold[5], hold[6]
    local fits = is_within(counters[i].used, room)
    if not fits and mode == 'enforce' then return i end
    if not fits and mode == 'soft_enforce' and soft == 0 then soft = i end
    if budget > 0 then has_room[budget] = fits and has_room[budget] ~= false end
  end
  for _, has in pairs(has_room) do
    if has then return 0 end
  end
  return soft
end

-- Used, and free and with room from when, of all holds of a request.
local function report(holds, counters, refused, was_taken)
  local used, free, room = {}, {}, {}
  for i, hold in ipairs(holds) do
    used[i] = counters[i].used
    if was_taken and hold[3] > 0 then
      free[i] = counters[i].free
    else
      free[i], room[i] = outlook(counters[i], hold[4])
    end
  end
  return {refused, now, used, free, refused > 0 and room or {}}
end

local function reserve(ticket, holds)
  local counters = {}
  for i, hold in ipairs(holds) do counters[i] = look(KEYS[hold[1]], hold[2]) end
  if redis.call('HEXISTS', TICKETS, ticket) == 1 then return report(holds, counters, 0, false) end
  local refused = refusing(holds, counters)
  if refused > 0 then return report(holds, counters, refused, false) end
  local taken = {}
  for i, hold in ipairs(holds) do
    local counter, amount = counters[i], hold[3]
    local width = type(hold[2]) == 'table' and {counter.bucket, counter.free / 1000} or hold[2]
    add(counter, counter.bucket, amount)
    taken[i] = {counter.key, width, counter.bucket, amount, hold[7]}
  end
  redis.call('HSET', TICKETS, ticket, cmsgpack.pack(taken))
  redis.call('ZADD', LEASES, now + lease, ticket)
  return report(holds, counters, 0, true)
end

local function drop(ticket)
  redis.call('HDEL', TICKETS, ticket)
  redis.call('ZREM', LEASES, ticket)
end

-- Sliding: what is given back goes to the bucket it came from, what comes on top counts from now.
local function change(key, width, bucket, amount)
  if amount == 0 then return end
  local counter = look(key, width)
  if amount > 0 and type(width) == 'number' then bucket = counter.bucket end
  add(counter, bucket, amount)
end

-- at: when that counts which no ticket is found for; 0 is now.
local function settle(ticket, at, holds)
  local record = ticket ~= '' and redis.call('HGET', TICKETS, ticket)
  if record then
    for i, took in ipairs(cmsgpack.unpack(record)) do
      change(took[1], took[2], took[3], holds[i][3] - took[4])
    end
    drop(ticket)
    return
  end
  for _, hold in ipairs(holds) do
    local width, late = hold[2], hold[4]
    if late > 0 then
      local counter = look(KEYS[hold[1]], width)
      local bucket = counter.bucket
      if at > 0 and type(width) == 'number' then bucket = math.min(bucket, math.floor(at / width)) end
      add(counter, bucket, late)
    end
  end
end

-- Nobody has settled it: all but the request is given back.
local function give_back(ticket)
  local record = redis.call('HGET', TICKETS, ticket)
  for _, took in ipairs(record and cmsgpack.unpack(record) or {}) do
    local key, width, bucket, amount, is_kept = unpack(took)
    if not is_kept then change(key, width, bucket, -amount) end
  end
  drop(ticket)
end

local function restore(key, width, begins, amount)
  local counter = look(key, width)
  if counter.bucket ~= begins or is_within(amount, counter.used) then return end
  redis.call('HSET', key, 't', amount, 'o', begins, begins, amount)
  redis.call('PEXPIREAT', key, counter.free + GRACE)
end

local epoch = redis.call('GET', EPOCH)
if not epoch then
  epoch = fresh_epoch
  redis.call('SET', EPOCH, epoch)
end
if known_epoch ~= '' and known_epoch ~= epoch then return cmsgpack.pack({epoch, now, 0, {}, {}}) end

if renewed then
  redis.call('PEXPIRE', EPOCH, LONG)
  redis.call('ZADD', REPLICAS, now + lease, replica)
  redis.call('ZREMRANGEBYSCORE', REPLICAS, '-inf', now)
  redis.call('PEXPIRE', REPLICAS, lease)
  for _, ticket in ipairs(renewed) do redis.call('ZADD', LEASES, 'XX', now + lease, ticket) end
end
if number > 0 and number > tonumber(redis.call('GET', LAST) or 0) then
  redis.call('SET', LAST, number, 'PX', DAY)
  for _, one in ipairs(settled) do settle(one[1], one[2], one[3]) end
end
for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, ENDED_AT_ONCE)) do
  give_back(ticket)
end
local answers = {}
for i, request in ipairs(reserved) do answers[i] = reserve(request[1], request[2]) end
if #reserved > 0 then
  redis.call('PEXPIRE', TICKETS, LONG)
  redis.call('PEXPIRE', LEASES, LONG)
end
local levels = {}
for i, holds in ipairs(looked_at) do
  local counters = {}
  for j, hold in ipairs(holds) do counters[j] = look(KEYS[hold[1]], hold[2]) end
  levels[i] = report(holds, counters, 0, false)
end
for _, one in ipairs(restored) do restore(KEYS[one[1]], one[2], one[3], one[4]) end
return cmsgpack.pack({epoch, now, redis.call('ZCARD', REPLICAS), answers, levels})
