/**
 * What Redis runs. A window is a hash: `t` the sum, `n` the newest second, `o` the oldest that may hold something, and a
 * field a second. The buckets are those of sliding-window.ts, by Redis's own clock, so that gateways need not agree on
 * the time; should that clock step back, a window waits at its newest second. All keys of one call share their hash tag,
 * so that a cluster keeps them together. What is only looked at is not written.
 */
import { WINDOW_SECONDS } from '../domain/limit.ts';
import { readCount } from '../domain/unreadable.ts';
import type { ChargedRequest, Taken } from './limiter.ts';
import { AMOUNT_MAX, BUCKETS } from './sliding-window.ts';

/** A window that nothing was added to for so long holds nothing. */
const IDLE_SECONDS = BUCKETS + 1;

/** More than any window, second or limit: past it, a number in Lua is not exact. */
const MAX_WINDOW = Number.MAX_SAFE_INTEGER;

/** Sets `second` and `nowMs`, the time of Redis itself. */
const REDIS_CLOCK = `
local time = redis.call('TIME')
local second = tonumber(time[1])
local nowMs = second * 1000 + math.floor(tonumber(time[2]) / 1000)
`;

/**
 * Several requests of one network, one after the other: each is let in whole or not at all, and the next finds what those
 * before it left. KEYS: their windows, each once. ARGV: how many requests; then of each request force (0 or 1), how many
 * charges, and of each charge the window (its place in KEYS), max and amount. Gives: the second; then of each request
 * granted (0 or 1), and of each of its charges used, resetMs and retryMs. A figure that cannot be read fails the script:
 * the caller then decides without Redis, and not without a limit.
 */
const TAKE = `
local function figure(text)
  local number = tonumber(text)
  if number == nil or number ~= number or number < 0 or number > ${MAX_WINDOW} then
    error('a window or a charge cannot be read')
  end
  return number
end
local function stored(text)
  if not text then return 0 end
  return figure(text)
end
local function held(w, at)
  if at == w.now then return w.bucket + w.added end
  local amount = w.cells[at]
  if not amount then
    amount = stored(redis.call('HGET', w.key, at))
    w.cells[at] = amount
  end
  return amount
end
local function retryMs(w, tooMuch)
  if tooMuch > w.used then return ${BUCKETS * 1_000} end
  local freed = 0
  local at = w.oldest
  while at <= w.now do
    freed = freed + held(w, at)
    if freed >= tooMuch then break end
    at = at + 1
  end
  return math.max(1, (at + ${BUCKETS}) * 1000 - nowMs)
end
local function resetMs(w)
  if w.used <= 0 then return 0 end
  local newest = w.now
  while newest > w.oldest and held(w, newest) <= 0 do newest = newest - 1 end
  return math.max(1, (newest + ${BUCKETS}) * 1000 - nowMs)
end
local windows = {}
for i, key in ipairs(KEYS) do
  local head = redis.call('HMGET', key, 't', 'n', 'o', second)
  local w = { key = key, used = stored(head[1]), newest = head[2] and figure(head[2]), added = 0, cells = {}, gone = {} }
  w.now = math.max(second, w.newest or 0)
  w.bucket = stored(w.now == second and head[4] or redis.call('HGET', key, w.now))
  w.oldest = head[3] and figure(head[3]) or w.now
  while w.oldest <= w.now - ${BUCKETS} and w.used > 0 do
    local old = redis.call('HGET', key, w.oldest)
    if old then
      w.used = w.used - figure(old)
      w.gone[#w.gone + 1] = w.oldest
    end
    w.oldest = w.oldest + 1
  end
  w.isEmpty = w.used <= 0
  if w.isEmpty then w.used = 0 w.bucket = 0 w.oldest = w.now end
  windows[i] = w
end
local answer = { second }
local at = 2
for _ = 1, tonumber(ARGV[1]) do
  local force, count = ARGV[at] == '1', tonumber(ARGV[at + 1])
  at = at + 2
  local granted = true
  local charges = {}
  for i = 1, count do
    local w, max, amount = windows[tonumber(ARGV[at])], figure(ARGV[at + 1]), figure(ARGV[at + 2])
    at = at + 3
    local charge = { window = w, amount = amount, retryMs = 0 }
    if amount > 0 and w.used + amount > max then
      granted = false
      charge.retryMs = retryMs(w, w.used + amount - max)
    end
    charges[i] = charge
  end
  answer[#answer + 1] = granted and 1 or 0
  for _, charge in ipairs(charges) do
    local w = charge.window
    if granted or force then
      w.used = w.used + charge.amount
      w.added = w.added + charge.amount
    end
    answer[#answer + 1] = w.used
    answer[#answer + 1] = resetMs(w)
    answer[#answer + 1] = charge.retryMs
  end
end
for _, w in ipairs(windows) do
  if w.added > 0 then
    if w.isEmpty and w.newest then redis.call('DEL', w.key)
    elseif #w.gone > 0 then redis.call('HDEL', w.key, unpack(w.gone)) end
    redis.call('HSET', w.key, w.now, w.bucket + w.added, 't', w.used, 'n', w.now, 'o', w.oldest)
    if w.isEmpty or w.newest ~= w.now then redis.call('EXPIRE', w.key, w.now - second + ${IDLE_SECONDS}) end
  end
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

/**
 * As the script of `take` takes requests: `keys` without prefix and hash tag. A window that several requests are charged to
 * is named once.
 */
export function takeArguments(requests: readonly ChargedRequest[]): {
  readonly keys: string[];
  readonly values: string[];
} {
  const places = new Map<string, string>();
  const values = [String(requests.length)];
  for (const { charges, force } of requests) {
    values.push(force ? '1' : '0', String(charges.length));
    for (const { key, max, amount } of charges) {
      let place = places.get(key);
      if (place === undefined) {
        place = String(places.size + 1);
        places.set(key, place);
      }
      values.push(place, String(max), figure(amount));
    }
  }
  return { keys: [...places.keys()], values };
}

/** What that script gives. `Receipt.second` is not of Redis. Throws UnreadableValueError for any other answer. */
export function readTaken(group: string, requests: readonly ChargedRequest[], answer: readonly number[]): Taken[] {
  let at = 0;
  const next = () => readCount(answer[at++], "Redis's answer about limits");
  const redisSecond = next();
  return requests.map(({ charges, force }) => {
    const granted = next() === 1;
    const windows = charges.map(({ max }) => ({ max, used: next(), resetMs: next(), retryMs: next() }));
    return { granted, windows, receipt: granted || force ? { group, second: 0, redisSecond } : null };
  });
}

/** As Redis reads it: a larger number would be written with an exponent, which is none of its integers. */
export function figure(amount: number): string {
  return String(Math.min(amount, AMOUNT_MAX));
}
