/** What makers write in one step, and only while an answer is theirs: one that was stopped for a while may have lost it to another. */

/**
 * Commands, each with the number of its words before it, where the answer is that of the owner who writes them.
 * @returns 1; 0 where it is another's, -1 where it is nobody's any more. Nothing was written then.
 */
export const FENCED = `
local owner = redis.call("HGET", KEYS[1], "owner")
if owner ~= ARGV[1] then return owner and 0 or -1 end
local at = 2
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
return 1`;

/** Deletes a name where it is that of this answer; of one that has an owner, for that one alone (an empty word for none). */
export const DELETE_IF_SAME = `
if ARGV[2] ~= "" and redis.call("HGET", KEYS[2], "owner") ~= ARGV[2] then return 0 end
if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
return 0`;

/** Its last client has left, on the one clock that all replicas see. What is not there any more is not made anew. */
export const LEFT = `
if redis.call("EXISTS", KEYS[1]) == 0 then return 0 end
if ARGV[1] ~= "" and redis.call("HGET", KEYS[1], "owner") ~= ARGV[1] then return 0 end
local time = redis.call("TIME")
return redis.call("HSET", KEYS[1], "left", time[1] * 1000 + math.floor(time[2] / 1000))`;

/**
 * The stream that has this name, unless it is the one that is not wanted; otherwise the new one takes the name. With an owner it may be
 * taken over, and the request is kept for that.
 */
export const CLAIM = `
local known = redis.call("GET", KEYS[1])
if known and known ~= ARGV[2] then return known end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[5])
local time = redis.call("TIME")
redis.call("HSET", KEYS[2], "facts", ARGV[3], "replica", ARGV[4], "started", time[1] * 1000 + math.floor(time[2] / 1000))
if ARGV[7] ~= "" then redis.call("HSET", KEYS[2], "owner", ARGV[7], "asked", ARGV[8], "name", ARGV[9]) end
redis.call("PEXPIRE", KEYS[2], ARGV[5])
redis.call("SET", KEYS[3], "0", "PX", ARGV[6])
return false`;

/**
 * Makes an answer another's whose maker has gone. Of two that want it at once one gets it, and what the one before still has to write
 * is not written any more. A request that ends each of its makers must not end them all: it is taken over a few times at most.
 * @returns facts, request, legs, head, name, the number of the last event, and the events; or a word: `made` where a maker lives, or has told its end; `not` where
 * nobody can go on with it.
 */
export const TAKE_OVER = `
local owner, asked, over = unpack(redis.call("HMGET", KEYS[1], "owner", "asked", "end"))
if over or redis.call("EXISTS", KEYS[2]) == 1 then return "made" end
if not owner or not asked then return "not" end
if redis.call("HINCRBY", KEYS[1], "takeovers", 1) > tonumber(ARGV[4]) then return "not" end
redis.call("HSET", KEYS[1], "owner", ARGV[1], "replica", ARGV[2])
redis.call("SET", KEYS[2], "0", "PX", ARGV[3])
redis.call("PEXPIRE", KEYS[1], ARGV[5])
redis.call("PEXPIRE", KEYS[3], ARGV[5])
local got = redis.call("HMGET", KEYS[1], "facts", "asked", "legs", "head", "name", "told")
got[7] = redis.call("XRANGE", KEYS[3], "-", "+")
return got`;
