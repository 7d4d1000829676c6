-- What Redis does for Dangol in one step, so that no other process ever sees half of it.
--
-- Every key that a function touches is passed as a key, and all keys of a call share a hash tag: Redis Cluster can
-- run it. HASH stands for a digest of this file: releases that differ register side by side and never call each
-- other's functions. Only what Redis 7.0 knows is used.

-- Layout of a profile; service/store/profile_codec.py reads it.
local PROFILE_HEADER = 16
local DIGEST_AT = 9
local PROFILE_COUNT_AT = 3
local RECORD_TIME_AT = 3
local SMALLEST_RECORD = 13

-- Tells whether a record is newer than another: by event time, then by its bytes. Lua's own order of strings follows the
-- locale of the server, and would differ from the reader's.
local function is_newer(one, other)
  if one.time ~= other.time then
    return one.time > other.time
  end
  local left, right = one.bytes, other.bytes
  for index = 1, math.min(#left, #right) do
    local difference = string.byte(left, index) - string.byte(right, index)
    if difference ~= 0 then
      return difference > 0
    end
  end
  return #left > #right
end

-- Gives the newest records of a profile, end to end. Which they are follows from the set of records alone, not from the
-- order in which they came in.
local function newest_records(value, limit)
  local records = {}
  local position = PROFILE_HEADER + 1
  while position < #value do
    local size = struct.unpack('<H', value, position)
    if size < SMALLEST_RECORD then
      break
    end
    local bytes = string.sub(value, position, position + size - 1)
    table.insert(records, {time = struct.unpack('<i8', bytes, RECORD_TIME_AT), bytes = bytes})
    position = position + size
  end
  table.sort(records, is_newer)
  local kept = {}
  for index = 1, math.min(limit, #records) do
    kept[index] = records[index].bytes
  end
  return table.concat(kept)
end

local function append_to_profile(key, empty, record, limit, slack, seconds)
  local header = redis.call('GETRANGE', key, 0, PROFILE_HEADER - 1)
  local known = #header == PROFILE_HEADER and string.sub(header, 1, 1) == string.sub(empty, 1, 1)
    and string.sub(header, 9) == string.sub(empty, 9)
  if not known then
    redis.call('SET', key, string.sub(empty, 1, 2) .. struct.pack('<H', 1) .. string.sub(empty, 5) .. record)
  else
    local count = struct.unpack('<H', header, PROFILE_COUNT_AT) + 1
    if count <= limit + slack then
      redis.call('APPEND', key, record)
      redis.call('SETRANGE', key, PROFILE_COUNT_AT - 1, struct.pack('<H', count))
    else
      local records = newest_records(redis.call('GET', key) .. record, limit)
      redis.call('SET', key,
        string.sub(empty, 1, 2) .. struct.pack('<H', limit) .. string.sub(empty, 5) .. records)
    end
  end
  redis.call('EXPIRE', key, seconds)
end

-- Layout of a customer's counters; service/store/counter_codec.py reads it.
local COUNTER_NAME_AT = 10
local MAXIMAL_COUNTERS = 512

-- Takes those of the records into ``counters`` that are not forgotten yet; what is there already is counted up.
local function take_counters(counters, places, records, position, now)
  while position <= #records do
    local size, last, count = struct.unpack('<HI4I4', records, position)
    local name = string.sub(records, position + COUNTER_NAME_AT, position + size - 1)
    if last > now and not places[name] then
      table.insert(counters, {name = name, last = last, count = count})
      places[name] = #counters
    elseif last > now then
      local known = counters[places[name]]
      known.count = math.min(known.count + count, 4294967295)
      known.last = math.max(known.last, last)
    end
    position = position + size
  end
end

-- Counts for a customer. ``moves`` are records as the value holds them, each with what it adds.
local function count_for_customer(key, empty, moves)
  local now = tonumber(redis.call('TIME')[1])
  local counters, places = {}, {}
  local value = redis.call('GET', key) or ''
  if string.sub(value, 1, 1) == string.sub(empty, 1, 1) and string.sub(value, 9, PROFILE_HEADER) == string.sub(empty, 9) then
    take_counters(counters, places, value, PROFILE_HEADER + 1, now)
  end
  take_counters(counters, places, moves, 1, now)
  if #counters == 0 then
    redis.call('DEL', key)
    return
  end
  table.sort(counters, function(one, other) return one.last > other.last end)
  local parts = {string.sub(empty, 1, 2), struct.pack('<H', math.min(#counters, MAXIMAL_COUNTERS)), string.sub(empty, 5)}
  for index = 1, math.min(#counters, MAXIMAL_COUNTERS) do
    local one = counters[index]
    table.insert(parts, struct.pack('<HI4I4', COUNTER_NAME_AT + #one.name, one.last, one.count) .. one.name)
  end
  redis.call('SET', key, table.concat(parts), 'EXAT', counters[1].last)
end

-- Counts for everybody: from the first key and argument on, as many keys as said, and for each a field and when to
-- forget it.
local function count_in_total(keys, args, first_key, first_arg, count)
  for index = 0, count - 1 do
    redis.call('HINCRBY', keys[first_key + index], args[first_arg + 2 * index], 1)
    redis.call('EXPIREAT', keys[first_key + index], args[first_arg + 2 * index + 1])
  end
end

-- Counts decisions.
-- keys: tombstones, counters of the customer, then those of everybody
-- args: empty counters, moves of the customer, then for each counter of everybody: field, when to forget it
-- Gives the number of counters moved for everybody.
local function count_decisions(keys, args)
  if args[2] ~= '' and redis.call('HEXISTS', keys[1], string.sub(args[1], DIGEST_AT)) == 0 then
    count_for_customer(keys[2], args[1], args[2])
  end
  count_in_total(keys, args, 3, 3, #keys - 2)
  return #keys - 2
end

-- Appends events to the log of a shard and to the profiles of their customers, and counts them for caps, once per event
-- id.
-- keys: log, tombstones, then for each event: seen mark, profile, counters of the customer, those of everybody
-- args: seconds to remember event ids, seconds to keep a profile, records that a profile keeps, records above that
--       before it is trimmed, then for each event: log entry (empty for an event that the archive holds already), empty
--       profile, profile record (empty for none), moves of the customer, number of counters of everybody, for each of
--       them: field, when to forget it
-- Gives the number of events that had not been recorded before, plus 65,536 for each event of an erased customer, which
-- is dropped.
local function record_events(keys, args)
  local recorded = 0
  local key, arg = 3, 5
  local has_tombstones = redis.call('EXISTS', keys[2]) == 1
  while key <= #keys do
    local entry, empty, record, moves, totals = args[arg], args[arg + 1], args[arg + 2], args[arg + 3], tonumber(args[arg + 4])
    if has_tombstones and redis.call('HEXISTS', keys[2], string.sub(empty, DIGEST_AT)) == 1 then
      recorded = recorded + 65536
    elseif redis.call('SET', keys[key], '', 'NX', 'EX', args[1]) then
      if entry ~= '' then
        redis.call('XADD', keys[1], '*', 'event', entry)
      end
      if record ~= '' then
        append_to_profile(keys[key + 1], empty, record, tonumber(args[3]), tonumber(args[4]), args[2])
      end
      if moves ~= '' then
        count_for_customer(keys[key + 2], empty, moves)
      end
      count_in_total(keys, args, key + 3, arg + 5, totals)
      recorded = recorded + 1
    end
    key, arg = key + 3 + totals, arg + 5 + 2 * totals
  end
  return recorded
end

-- A placement's number among the kinds of records, and how many versions of each are kept.
local PLACEMENTS = 2
local KEPT_VERSIONS = 20

-- Keeps what is stored under the name of a placement, so that it can be gone back to: `<name>` counts the versions,
-- `<name>/<number>` holds milliseconds since 1970, a line feed, and the record, empty when it was deleted.
local function keep_version(versions, name, record)
  local time = redis.call('TIME')
  local number = redis.call('HINCRBY', versions, name, 1)
  local milliseconds = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', versions, name .. '/' .. number, milliseconds .. '\n' .. record)
  redis.call('HDEL', versions, name .. '/' .. (number - KEPT_VERSIONS))
end

-- Replaces the candidate list of a customer by a fresh one, if the profile that it was made from is still the same. The
-- list as it was published stays beside it, for the next fresh one to be made from; it is empty where none was.
-- keys: profile, list, published list
-- args: SHA-1 of the profile, fresh list, seconds after which both lists end, if their generation does not end sooner
-- Gives 1, or 0 when the profile changed meanwhile; nothing is changed then.
local function refresh_candidates(keys, args)
  if redis.sha1hex(redis.call('GET', keys[1]) or '') ~= args[1] then
    return 0
  end
  if redis.call('EXISTS', keys[3]) == 0 then
    if redis.call('EXISTS', keys[2]) == 1 then
      redis.call('RENAME', keys[2], keys[3])
    else
      redis.call('SET', keys[3], '')
    end
  end
  redis.call('EXPIRE', keys[3], args[3], 'LT')
  redis.call('SET', keys[2], args[2], 'PX', math.max(1, redis.call('PTTL', keys[3])))
  return 1
end

-- Takes entries that cannot be applied out of a group's work and keeps them, with the reason, in another stream.
-- keys: log, stream of what was set aside
-- args: group, then for each entry: id, reason, 1 if its event is archived and 0 if it cannot be read
-- Gives the number of entries set aside.
local function set_aside(keys, args)
  local count = 0
  for index = 2, #args, 3 do
    local entry = redis.call('XRANGE', keys[1], args[index], args[index])[1]
    if entry and redis.call('XACK', keys[1], args[1], args[index]) == 1 then
      local fields = entry[2]
      local content = fields[1] == 'event' and fields[2] or table.concat(fields, ' ')
      redis.call('XADD', keys[2], '*', 'event', content,
        'entry', args[index], 'reason', args[index + 1], 'archived', args[index + 2])
      count = count + 1
    end
  end
  return count
end

-- Appends what was set aside to the log again. An event that is archived already says so.
-- keys: log, stream of what was set aside
-- args: ids in the second stream
-- Gives the number of entries appended.
local function replay(keys, args)
  local count = 0
  for _, id in ipairs(args) do
    local entry = redis.call('XRANGE', keys[2], id, id)[1]
    if entry then
      redis.call('XADD', keys[1], '*', 'event', entry[2][2], 'archived', entry[2][8])
      redis.call('XDEL', keys[2], id)
      count = count + 1
    end
  end
  return count
end

-- Sets a key if it holds what is expected; empty means absent.
-- keys: the key
-- args: expected, new
-- Gives 1, or 0 when something else was there.
local function swap(keys, args)
  if (redis.call('GET', keys[1]) or '') ~= args[1] then
    return 0
  end
  redis.call('SET', keys[1], args[2])
  return 1
end

-- Stores records of one kind that wait for it: ids and records in turn. One command for many takes a third less.
local MOST_WAITING = 500
local function store_waiting(keys, waiting)
  if #waiting > 0 then
    redis.call('HSET', keys[5 + waiting.kind], unpack(waiting))
  end
end

-- Applies one batch to the catalogue and appends it to the stream of changes, if every record that the caller expects
-- in a certain state still is in it.
-- keys: version, stream of changes, its size in bytes, versions of placements, hash of kind 0, hash of kind 1, ...
-- args: batch (see service/store/catalog_codec.py), entries and bytes that the stream may hold, version to count on
--       from when there is none, then for each expectation: kind, id, etag
-- Gives the version of the catalogue after the batch; -n when the n-th expectation is not met, and nothing is changed.
local function apply_catalog(keys, args)
  for index = 5, #args, 3 do
    local record = redis.call('HGET', keys[5 + tonumber(args[index])], args[index + 1])
    if not record or string.sub(redis.sha1hex(record), 1, #args[index + 2]) ~= args[index + 2] then
      return -(index - 2) / 3
    end
  end
  local batch = args[1]
  local position, waiting = 1, {kind = 0}
  while position <= #batch do
    local kind, stored, id_size, value_size = struct.unpack('<BBHI4', batch, position)
    local id_end = position + 8 + id_size
    local id = string.sub(batch, position + 8, id_end - 1)
    local record = string.sub(batch, id_end, id_end + value_size - 1)
    if stored == 0 or kind ~= waiting.kind or kind == PLACEMENTS or #waiting >= MOST_WAITING then
      store_waiting(keys, waiting)
      waiting = {kind = kind}
    end
    if kind == PLACEMENTS and (redis.call('HGET', keys[5 + kind], id) or '') ~= record then
      keep_version(keys[4], id, record)
    end
    if stored == 1 then
      table.insert(waiting, id)
      table.insert(waiting, record)
    else
      redis.call('HDEL', keys[5 + kind], id)
    end
    position = id_end + value_size
  end
  store_waiting(keys, waiting)
  redis.call('SET', keys[1], args[4], 'NX')
  local version = redis.call('INCR', keys[1])
  redis.call('XADD', keys[2], version .. '-0', 'batch', batch)
  local bytes = redis.call('INCRBY', keys[3], #batch)
  local count = redis.call('XLEN', keys[2])
  while count > 1 and (count > tonumber(args[2]) or bytes > tonumber(args[3])) do
    local oldest = redis.call('XRANGE', keys[2], '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', keys[2], oldest[1])
    bytes = redis.call('DECRBY', keys[3], #oldest[2][2])
    count = count - 1
  end
  return version
end

-- Changes what is known of generations, if nobody else did so meanwhile.
-- keys: pointer, last generation, hash of generations
-- args: pointer expected and new, last generation expected and new, then for each record: field, expected and new.
--       Empty means absent.
-- Gives 1, or 0 when something was not as expected; nothing is changed then.
local function change_generations(keys, args)
  local function is(value, expected)
    return (value or '') == expected
  end
  if not is(redis.call('GET', keys[1]), args[1]) or not is(redis.call('GET', keys[2]), args[3]) then
    return 0
  end
  for index = 5, #args, 3 do
    if not is(redis.call('HGET', keys[3], args[index]), args[index + 1]) then
      return 0
    end
  end
  for index = 5, #args, 3 do
    if args[index + 2] == '' then
      redis.call('HDEL', keys[3], args[index])
    else
      redis.call('HSET', keys[3], args[index], args[index + 2])
    end
  end
  for index = 1, 2 do
    if args[2 * index] ~= '' then
      redis.call('SET', keys[index], args[2 * index])
    end
  end
  return 1
end

-- Keeps units of budgets for a customer. Who holds one already keeps it for the whole time anew.
-- keys: for each offer: reservations, redemptions
-- args: customer, then for each offer: units, seconds to keep one
-- Gives a number whose n-th bit from below says that the customer holds a unit of the n-th offer.
local function reserve_units(keys, args)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
  local held = 0
  for index = 1, #keys / 2 do
    local reserved, redeemed = keys[2 * index - 1], keys[2 * index]
    redis.call('ZREMRANGEBYSCORE', reserved, '-inf', now)
    local holds = redis.call('ZSCORE', reserved, args[1])
    local taken = redis.call('ZCARD', reserved) + redis.call('SCARD', redeemed)
    if holds or taken < tonumber(args[2 * index]) then
      redis.call('ZADD', reserved, string.format('%.6f', now + tonumber(args[2 * index + 1])), args[1])
      held = held + 2 ^ (index - 1)
    end
  end
  return held
end

-- Turns the unit that a customer holds into a redeemed one, once per event.
-- keys: for each redemption: reservations, redemptions
-- args: for each redemption: customer, event
-- Gives the number of redemptions that had not been counted before.
local function redeem_units(keys, args)
  local counted = 0
  for index = 1, #keys / 2 do
    if redis.call('SADD', keys[2 * index], args[2 * index]) == 1 then
      redis.call('ZREM', keys[2 * index - 1], args[2 * index - 1])
      counted = counted + 1
    end
  end
  return counted
end

-- Layout of a customer's record; service/store/customer_record_codec.py reads it: a header, names, then JSON.
local RECORD_HEADER = 16
local RECORD_NAMES_AT = 3

-- Gives the header and the names of a record, or an empty header where there is none; then the rest.
local function parts_of_record(key, empty)
  local value = redis.call('GET', key)
  if not value or string.sub(value, 1, 1) ~= string.sub(empty, 1, 1) or string.sub(value, 9, 16) ~= string.sub(empty, 9) then
    return empty, ''
  end
  local end_of_names = RECORD_HEADER + struct.unpack('<H', value, RECORD_NAMES_AT)
  return string.sub(value, 1, end_of_names), string.sub(value, end_of_names + 1)
end

-- Stores what a shop says of customers of one shard, and leaves alone which names are theirs.
-- keys: tombstones, records
-- args: for each record: empty header, JSON
-- Gives the number of records stored: erased customers are passed over.
local function store_customers(keys, args)
  local stored = 0
  for index = 2, #keys do
    local empty, record = args[2 * index - 3], args[2 * index - 2]
    if redis.call('HEXISTS', keys[1], string.sub(empty, DIGEST_AT)) == 0 then
      local head = parts_of_record(keys[index], empty)
      redis.call('SET', keys[index], head .. record)
      stored = stored + 1
    end
  end
  return stored
end

-- Says which names are a customer's, unless something newer is known or the customer was erased.
-- keys: record, tombstones
-- args: empty header, version of the links, names
-- Gives 1, or 0 when nothing was written.
local function name_customer(keys, args)
  local head, record = parts_of_record(keys[1], args[1])
  local version, names = tonumber(args[2]), args[3]
  if struct.unpack('<I4', head, 5) > version or redis.call('HEXISTS', keys[2], string.sub(args[1], DIGEST_AT)) == 1 then
    return 0
  end
  redis.call('SET', keys[1],
    string.sub(head, 1, 2) .. struct.pack('<HI4', #names, version) .. string.sub(head, 9, RECORD_HEADER) .. names .. record)
  return 1
end

local function linked_with(links, id)
  local found = {}
  for other in string.gmatch(redis.call('HGET', links, id) or '', '[^\n]+') do
    table.insert(found, other)
  end
  return found
end

local function set_linked(links, id, others)
  if #others == 0 then
    redis.call('HDEL', links, id)
  else
    redis.call('HSET', links, id, table.concat(others, '\n'))
  end
end

local function add_link(links, id, other)
  local others = linked_with(links, id)
  for _, known in ipairs(others) do
    if known == other then
      return
    end
  end
  table.insert(others, other)
  set_linked(links, id, others)
end

local function remove_link(links, id, other)
  local kept = {}
  for _, known in ipairs(linked_with(links, id)) do
    if known ~= other then
      table.insert(kept, known)
    end
  end
  set_linked(links, id, kept)
end

-- Gives all ids that links lead to from some, these included.
local function joined_with(links, ids)
  local found, seen = {}, {}
  for _, id in ipairs(ids) do
    if not seen[id] then
      seen[id] = true
      table.insert(found, id)
    end
  end
  local index = 1
  while found[index] do
    for _, other in ipairs(linked_with(links, found[index])) do
      if not seen[other] then
        seen[other] = true
        table.insert(found, other)
      end
    end
    index = index + 1
  end
  return found
end

-- Links ids with the first of them, unless that made more of them one customer than may be.
-- keys: links, their version
-- args: ids that one customer may have, id, aliases
-- Gives the version of the links and all ids of the customer; nothing when they would be too many.
local function link_customers(keys, args)
  local id = args[2]
  local joined = joined_with(keys[1], {unpack(args, 2)})
  if #joined > tonumber(args[1]) then
    return {}
  end
  for index = 3, #args do
    add_link(keys[1], id, args[index])
    add_link(keys[1], args[index], id)
  end
  return {redis.call('INCR', keys[2]), joined}
end

-- Takes links between an id and others back.
-- keys: links, their version
-- args: 1 to take back whatever else the id is linked with too, id, others
-- Gives the version of the links and, for the id and each other one, all ids that it still is one customer with.
local function unlink_customers(keys, args)
  local id, others = args[2], {unpack(args, 3)}
  if args[1] == '1' then
    for _, other in ipairs(linked_with(keys[1], id)) do
      table.insert(others, other)
    end
  end
  for _, other in ipairs(others) do
    remove_link(keys[1], id, other)
    remove_link(keys[1], other, id)
  end
  local answer = {redis.call('INCR', keys[2]), joined_with(keys[1], {id})}
  for _, other in ipairs(others) do
    table.insert(answer, joined_with(keys[1], {other}))
  end
  return answer
end

-- Puts a tombstone in the place of what is known of a customer.
-- keys: tombstones, then what is to go
-- args: digest of the id, SHA-256 of it
-- Gives 1.
local function bury(keys, args)
  redis.call('HSET', keys[1], args[1], args[2])
  for index = 2, #keys do
    redis.call('UNLINK', keys[index])
  end
  return 1
end

-- Takes a link back, and leaves to others what follows from it.
-- keys: links, their version
-- args: id, other id
-- Gives the version of the links.
local function forget_link(keys, args)
  remove_link(keys[1], args[1], args[2])
  remove_link(keys[1], args[2], args[1])
  return redis.call('INCR', keys[2])
end

-- Removes changes of the catalogue from the oldest to one of them; who has not seen them loads everything again.
-- keys: stream of changes, its size in bytes
-- args: id of the last one to go
-- Gives how many went.
local function forget_changes(keys, args)
  local entries = redis.call('XRANGE', keys[1], '-', args[1])
  for _, entry in ipairs(entries) do
    redis.call('XDEL', keys[1], entry[1])
    redis.call('DECRBY', keys[2], #entry[2][2])
  end
  return #entries
end

-- How many pushes are remembered of one customer; service/store/push_store.py says the same.
local MAXIMAL_MARKS = 256

-- Forgets of a customer's pushes those that are not remembered any longer. Marks begin with when they are forgotten.
local function forget_old_marks(marks, now)
  local all = redis.call('HGETALL', marks)
  for index = 1, #all, 2 do
    local last = tonumber(string.match(all[index + 1], '^%d+'))
    if last and last < now then
      redis.call('HDEL', marks, all[index])
    end
  end
end

-- Adds pushes of a customer to those that wait, each once: one that was ever added is passed over as long as it is
-- remembered, whatever became of it.
-- keys: tombstones, due pushes, waiting pushes, marks of the customer
-- args: digest of the customer's id, now, seconds to keep marks, then for each push: id, when it is due, content, mark
-- Gives the number of pushes added.
local function add_pushes(keys, args)
  if redis.call('HEXISTS', keys[1], args[1]) == 1 then
    return 0
  end
  if redis.call('HLEN', keys[4]) >= MAXIMAL_MARKS then
    forget_old_marks(keys[4], tonumber(args[2]))
  end
  local added = 0
  for index = 4, #args, 4 do
    local id = args[index]
    if redis.call('HLEN', keys[4]) < MAXIMAL_MARKS and redis.call('HSETNX', keys[4], id, args[index + 3]) == 1 then
      redis.call('ZADD', keys[2], args[index + 1], id)
      redis.call('HSET', keys[3], id, '0\n' .. args[index + 2])
      added = added + 1
    end
  end
  if added > 0 then
    redis.call('EXPIRE', keys[4], args[3])
  end
  return added
end

-- Leases pushes that are due: until the lease ends they are not due again.
-- keys: due pushes, waiting pushes
-- args: now, when the lease ends, how many at most
-- Gives for each when it was due; then how often it was leased, this time included, a line feed, and its content.
local function lease_pushes(keys, args)
  local leased = {}
  local due = redis.call('ZRANGEBYSCORE', keys[1], '-inf', args[1], 'WITHSCORES', 'LIMIT', 0, args[3])
  for index = 1, #due, 2 do
    local id = due[index]
    local count, content = string.match(redis.call('HGET', keys[2], id) or '', '^(%d+)\n(.*)$')
    if count then
      redis.call('ZADD', keys[1], args[2], id)
      redis.call('HSET', keys[2], id, string.format('%d', count + 1) .. '\n' .. content)
      table.insert(leased, due[index + 1])
      table.insert(leased, string.format('%d', count + 1) .. '\n' .. content)
    else
      redis.call('ZREM', keys[1], id)
    end
  end
  return leased
end

-- Lets one push of a customer go out, unless another one went out so shortly before that it has to wait.
-- keys: marks of the customer, tombstones
-- args: digest of the customer's id, id, trigger, now, seconds since a push of whatever trigger, seconds since one of
--       this trigger, seconds to keep marks
-- Gives 0 when it may go out, else the time from which on it may, in whole seconds since 1970; -1 for an erased customer.
local function grant_push(keys, args)
  if redis.call('HEXISTS', keys[2], args[1]) == 1 then
    return -1
  end
  local now, free = tonumber(args[4]), 0
  for index, field in ipairs({'>', '>' .. args[3]}) do
    local last, id = string.match(redis.call('HGET', keys[1], field) or '', '^(%d+)\n(.*)$')
    if last and id ~= args[2] and tonumber(last) + tonumber(args[4 + index]) > now then
      free = math.max(free, tonumber(last) + tonumber(args[4 + index]))
    end
  end
  if free > 0 then
    return free
  end
  redis.call('HSET', keys[1], '>', args[4] .. '\n' .. args[2], '>' .. args[3], args[4] .. '\n' .. args[2])
  redis.call('EXPIRE', keys[1], args[7])
  return 0
end

-- Ends a push, or puts it back until it is due again.
-- keys: due pushes, waiting pushes, marks of the customer
-- args: id, the lease that must still hold or an empty text, when it is due again or an empty text, mark or an empty
--       text, seconds to keep marks
-- Gives 1, or 0 when it is not there any more or was leased again.
local function settle_push(keys, args)
  local count = string.match(redis.call('HGET', keys[2], args[1]) or '', '^(%d+)\n')
  if not count or (args[2] ~= '' and args[2] ~= count) then
    return 0
  end
  if args[3] ~= '' then
    redis.call('ZADD', keys[1], args[3], args[1])
  else
    redis.call('ZREM', keys[1], args[1])
    redis.call('HDEL', keys[2], args[1])
  end
  if args[4] ~= '' then
    redis.call('HSET', keys[3], args[1], args[4])
    redis.call('EXPIRE', keys[3], args[5])
  end
  return 1
end

-- Removes whatever there is of a customer's pushes.
-- keys: due pushes, waiting pushes, marks of the customer
-- Gives the number of pushes that had waited.
local function forget_pushes(keys, args)
  local count = 0
  for _, id in ipairs(redis.call('HKEYS', keys[3])) do
    redis.call('ZREM', keys[1], id)
    count = count + redis.call('HDEL', keys[2], id)
  end
  redis.call('UNLINK', keys[3])
  return count
end

-- Removes pushes that were due long ago and that nobody leased.
-- keys: due pushes, waiting pushes
-- args: due before when, how many at most
-- Gives how many were removed.
local function drop_overdue(keys, args)
  local ids = redis.call('ZRANGEBYSCORE', keys[1], '-inf', '(' .. args[1], 'LIMIT', 0, args[2])
  for _, id in ipairs(ids) do
    redis.call('ZREM', keys[1], id)
    redis.call('HDEL', keys[2], id)
  end
  return #ids
end

redis.register_function('add_pushes_HASH', add_pushes)
redis.register_function('lease_pushes_HASH', lease_pushes)
redis.register_function('grant_push_HASH', grant_push)
redis.register_function('settle_push_HASH', settle_push)
redis.register_function('forget_pushes_HASH', forget_pushes)
redis.register_function('drop_overdue_HASH', drop_overdue)
redis.register_function('bury_HASH', bury)
redis.register_function('forget_link_HASH', forget_link)
redis.register_function('forget_changes_HASH', forget_changes)
redis.register_function('store_customers_HASH', store_customers)
redis.register_function('name_customer_HASH', name_customer)
redis.register_function('link_customers_HASH', link_customers)
redis.register_function('unlink_customers_HASH', unlink_customers)
redis.register_function('reserve_units_HASH', reserve_units)
redis.register_function('redeem_units_HASH', redeem_units)
redis.register_function('count_decisions_HASH', count_decisions)
redis.register_function('record_events_HASH', record_events)
redis.register_function('refresh_candidates_HASH', refresh_candidates)
redis.register_function('set_aside_HASH', set_aside)
redis.register_function('replay_HASH', replay)
redis.register_function('swap_HASH', swap)
redis.register_function('apply_catalog_HASH', apply_catalog)
redis.register_function('change_generations_HASH', change_generations)
