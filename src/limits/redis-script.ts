/**
 * What Redis runs. A window is a hash: `t` the sum, `n` the newest second, `o` the oldest that may hold something, and a
 * field a second. The buckets are those of sliding-window.ts, by Redis's own clock, so that gateways need not agree on
 * the time; should that clock step back, a window waits at its newest second. All keys of one call share their hash tag,
 * so that a cluster keeps them together. What is only looked at is not written.
 */
import { WINDOW_SECONDS } from '../domain/limit.ts';
import { BUCKETS } from './sliding-window.ts';

/** A window that nothing was added to for so long holds nothing. */
const IDLE_SECONDS = BUCKETS + 1;

/** Sets `second` and `nowMs`, the time of Redis itself. */
const REDIS_CLOCK = `
local time = redis.call('TIME')
local second = tonumber(time[1])
local nowMs = second * 1000 + math.floor(tonumber(time[2]) / 1000)
`;

/**
 * KEYS: the windows. ARGV: force (0 or 1), then max and amount of each window. Gives: granted (0 or 1), the second, then
 * used, resetMs and retryMs of each window.
 */
const TAKE = `
local force = ARGV[1] == '1'
local windows = {}
local granted = true
for i, key in ipairs(KEYS) do
  local max, amount = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local head = redis.call('HMGET', key, 't', 'n', 'o', second)
  local w = { key = key, max = max, amount = amount, used = tonumber(head[1]) or 0, retryMs = 0 }
  w.newest = tonumber(head[2])
  w.now = math.max(second, w.newest or 0)
  w.bucket = tonumber(w.now == second and head[4] or redis.call('HGET', key, w.now)) or 0
  w.oldest = tonumber(head[3]) or w.now
  w.gone = {}
  while w.oldest <= w.now - ${BUCKETS} and w.used > 0 do
    local old = redis.call('HGET', key, w.oldest)
    if old then
      w.used = w.used - tonumber(old)
      w.gone[#w.gone + 1] = w.oldest
    end
    w.oldest = w.oldest + 1
  end
  if w.used <= 0 then w.used = 0 w.bucket = 0 w.oldest = w.now end
  if amount > 0 and w.used + amount > max then
    granted = false
    local tooMuch = w.used + amount - max
    if tooMuch > w.used then
      w.retryMs = ${BUCKETS * 1_000}
    else
      local freed = 0
      local at = w.oldest
      while at <= w.now do
        freed = freed + tonumber(redis.call('HGET', key, at) or 0)
        if freed >= tooMuch then break end
        at = at + 1
      end
      w.retryMs = math.max(1, (at + ${BUCKETS}) * 1000 - nowMs)
    end
  end
  windows[i] = w
end
local answer = { granted and 1 or 0, second }
for i, w in ipairs(windows) do
  local newest = w.now
  if w.amount > 0 and (granted or force) then
    if w.used == 0 and w.newest then redis.call('DEL', w.key)
    elseif #w.gone > 0 then redis.call('HDEL', w.key, unpack(w.gone)) end
    w.used = w.used + w.amount
    redis.call('HSET', w.key, w.now, w.bucket + w.amount, 't', w.used, 'n', w.now, 'o', w.oldest)
    if w.newest ~= w.now or w.used == w.amount then
      redis.call('EXPIRE', w.key, w.now - second + ${IDLE_SECONDS})
    end
  elseif w.used > 0 then
    while newest > w.oldest and tonumber(redis.call('HGET', w.key, newest) or 0) <= 0 do newest = newest - 1 end
  end
  local resetMs = 0
  if w.used > 0 then resetMs = math.max(1, (newest + ${BUCKETS}) * 1000 - nowMs) end
  answer[#answer + 1] = w.used
  answer[#answer + 1] = resetMs
  answer[#answer + 1] = w.retryMs
end
return answer`;

/** KEYS: the windows. ARGV: the second, then the amount of each. Takes back what is still there of it. */
const GIVE_BACK = `
for i, key in ipairs(KEYS) do
  local there = tonumber(redis.call('HGET', key, ARGV[1]) or 0)
  local amount = math.min(there, tonumber(ARGV[i + 1]))
  if amount > 0 then
    redis.call('HINCRBY', key, ARGV[1], -amount)
    redis.call('HINCRBY', key, 't', -amount)
  end
end
return 1`;

/** A gateway that has not been heard of for so long is gone. */
export const GATEWAY_GONE_MS = 10_000;

/**
 * KEYS: the hash of gateways. ARGV: this gateway's id, and one of `new`, `known` (it has been here before) and
 * `incomplete` (it has let in what was not counted here). A gateway's field holds when it was last heard of, and since
 * when all that it lets in is counted here. Gives: how many gateways there are, and for how many milliseconds all that
 * any of them let in has been counted here.
 */
const HEARTBEAT = `
local key, id, state = KEYS[1], ARGV[1], ARGV[2]
local mine = redis.call('HGET', key, id)
local since = 0
if state == 'incomplete' or (state == 'known' and not mine) then since = nowMs
elseif mine then since = tonumber(string.match(mine, '|(%d+)')) end
redis.call('HSET', key, id, nowMs .. '|' .. since)
redis.call('EXPIRE', key, ${WINDOW_SECONDS})
local count, latest = 0, 0
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local seen, whole = string.match(all[i + 1], '(%d+)|(%d+)')
  if nowMs - tonumber(seen) > ${GATEWAY_GONE_MS} then redis.call('HDEL', key, all[i])
  else
    count = count + 1
    latest = math.max(latest, tonumber(whole))
  end
end
return { count, nowMs - latest }`;

/** KEYS: the hash of gateways. ARGV: the gateway that leaves. */
const LEAVE = `return redis.call('HDEL', KEYS[1], ARGV[1])`;

/** `clock`: what sets `second` and `nowMs`, for a test that moves the time. */
export function scripts(clock = REDIS_CLOCK) {
  return { take: clock + TAKE, giveBack: GIVE_BACK, heartbeat: clock + HEARTBEAT, leave: LEAVE };
}
