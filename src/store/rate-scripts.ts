/**
 * Limits that replicas count together, as the server counts them: each script is one step for everybody, on the server's own clock.
 * A window here is what `balance/rate/rate-window.ts` is in memory, with the same figures: it slides, and what was taken beyond the
 * limit is owed. It is a hash: what was taken by the number of its step; `owed`; `at`, when it was last settled.
 */

const WINDOW = `
local STEPS, COUNTS_FOR, MOST_OWED = 512, 515, 100
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
local function number(n) return string.format("%.0f", n) end

local function pay(w)
  local room = math.min(w.owed, w.limit - w.counted)
  if room <= 0 then return end
  w.owed = w.owed - room
  w.counted = w.counted + room
  local n = number(math.ceil(now / w.step))
  w.amounts[n] = (w.amounts[n] or 0) + room
  w.changed[n] = true
end

local function load(key, perMs, limit)
  local w = { key = key, step = perMs / STEPS, limit = limit, owed = 0, at = now, counted = 0, amounts = {}, changed = {}, gone = {} }
  local fields = redis.call("HGETALL", key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], tonumber(fields[i + 1])
    if name == "owed" then w.owed = value
    elseif name == "at" then w.at = value
    elseif tonumber(name) > now / w.step - COUNTS_FOR then
      w.amounts[name] = value
      w.counted = w.counted + value
    else w.gone[#w.gone + 1] = name end
  end
  local passed = math.floor((now - w.at) / (COUNTS_FOR * w.step)) - 1
  w.owed = math.max(0, w.owed - limit * math.max(0, passed))
  pay(w)
  return w
end

local function save(w)
  for i = 1, #w.gone, 100 do redis.call("HDEL", w.key, unpack(w.gone, i, math.min(i + 99, #w.gone))) end
  for n in pairs(w.changed) do redis.call("HSET", w.key, n, tostring(w.amounts[n])) end
  redis.call("HSET", w.key, "owed", tostring(w.owed), "at", string.format("%.3f", now))
  redis.call("PEXPIRE", w.key, number(COUNTS_FOR * w.step * (2 + math.ceil(w.owed / w.limit))))
end

local function count(w, amount)
  w.owed = math.min(w.owed + amount, MOST_OWED * w.limit)
  pay(w)
end

local function giveBack(w, n, amount)
  local fromOwed = math.min(amount, w.owed)
  w.owed = w.owed - fromOwed
  if w.amounts[n] then
    local left = math.max(0, w.amounts[n] - (amount - fromOwed))
    w.counted = w.counted - (w.amounts[n] - left)
    w.amounts[n] = left
    w.changed[n] = true
  end
  pay(w)
end

local function waitOf(w, amount)
  local over = w.counted + w.owed + math.min(amount, w.limit) - w.limit
  if over <= 0 then return 0 end
  local numbers = {}
  for n in pairs(w.amounts) do numbers[#numbers + 1] = tonumber(n) end
  table.sort(numbers)
  local function leftOf(n) return math.max(1, (n + COUNTS_FOR) * w.step - now) end
  for _, n in ipairs(numbers) do
    over = over - w.amounts[number(n)]
    if over <= 0 then return leftOf(n) end
  end
  return numbers[1] and leftOf(numbers[1]) or 0
end
`;

/**
 * Takes of all keys, or of none. For each key, six arguments: `window` or `places`, its limit, its span, how much, a new name for what
 * is taken of places, and how long such a place is believed in.
 * @returns "taken", and for each key how it is given back; or "wait", and for each key how long, in milliseconds; -1: nobody knows.
 */
export const TAKE = `${WINDOW}
local waits, windows, mustWait = {}, {}, false
for i, key in ipairs(KEYS) do
  local kind, limit, perMs, amount = ARGV[i * 6 - 5], tonumber(ARGV[i * 6 - 4]), tonumber(ARGV[i * 6 - 3]), tonumber(ARGV[i * 6 - 2])
  local wait = 0
  if kind == "window" then
    windows[i] = load(key, perMs, limit)
    wait = waitOf(windows[i], amount)
  else
    redis.call("ZREMRANGEBYSCORE", key, "-inf", now)
    if redis.call("ZCARD", key) >= limit then wait = -1 end
  end
  waits[i] = tostring(wait)
  if wait ~= 0 then mustWait = true end
end
local taken = {}
for i, key in ipairs(KEYS) do
  local w = windows[i]
  if w then
    if not mustWait then count(w, tonumber(ARGV[i * 6 - 2])) end
    save(w)
    taken[i] = number(math.ceil(now / w.step))
  elseif not mustWait then
    redis.call("ZADD", key, number(now + ARGV[i * 6]), ARGV[i * 6 - 1])
    redis.call("PEXPIRE", key, ARGV[i * 6])
    taken[i] = ARGV[i * 6 - 1]
  end
end
if mustWait then return { "wait", unpack(waits) } end
return { "taken", unpack(taken) }`;

/** It came to more or less than was taken. Arguments: limit, span, the step at which it was taken, how much more it was. */
export const CORRECT = `${WINDOW}
local w = load(KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[1]))
local more = tonumber(ARGV[4])
if more < 0 then giveBack(w, ARGV[3], -more) else count(w, more) end
save(w)`;

/** Places that are held still. Arguments: for how long that is believed, and for each key the name of its place. */
export const HOLD = `
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
for i, key in ipairs(KEYS) do
  redis.call("ZADD", key, string.format("%.0f", now + ARGV[1]), ARGV[i + 1])
  redis.call("PEXPIRE", key, ARGV[1])
end`;
