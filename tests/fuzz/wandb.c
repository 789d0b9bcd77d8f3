/* Any bytes as a W&B run log, and as one record: reading ends, inside of them, with records or a
 * reason; a record that was read means the same when it is written and read again; any bytes come
 * back out of a log at any place. */
#include <stdint.h>

#include "../../bindings/bindings.h"
#include "program.h"

static const char program[] =
    "local wandb, data = ...\n"
    "local item = { { 1, 'key', 'string' }, { 2, 'nested_key', 'string', true }, { 16, 'value_json', 'string' } }\n"
    "local time = { { 1, 'seconds', 'int' }, { 2, 'nanos', 'int' } }\n"
    "local changes = { { 1, 'update', item, true }, { 2, 'remove', item, true } }\n"
    "local shape = { { 1, 'num', 'int' }, { 2, 'history', { { 1, 'item', item, true } } }, { 3, 'summary', changes },\n"
    "  { 8, 'artifact', { { 1, 'run_id', 'string' }, { 11, 'aliases', 'string', true }, { 14, 'finalize', 'bool' },\n"
    "    { 12, 'manifest', { { 1, 'version', 'int' }, { 4, 'contents', item, true } } } } },\n"
    "  { 13, 'output_raw', { { 1, 'output_type', 'int' }, { 2, 'timestamp', time }, { 3, 'line', 'string' } } },\n"
    "  { 17, 'run', { { 1, 'run_id', 'string' }, { 4, 'config', changes }, { 10, 'tags', 'string', true } } },\n"
    "  { 18, 'exit', { { 1, 'exit_code', 'int' }, { 2, 'runtime', 'int' } } }, { 20, 'final', {} } }\n"
    "local function same(a, b)\n"
    "  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end\n"
    "  for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
    "  for k in pairs(b) do if a[k] == nil then return false end end\n"
    "  return true\n"
    "end\n"
    "local function read(bytes)\n"
    "  local record, message, code = wandb.decode(shape, bytes)\n"
    "  if not record then assert(type(message) == 'string' and code == 'format') return end\n"
    "  assert(same(record, assert(wandb.decode(shape, assert(wandb.encode(shape, record))))))\n"
    "end\n"
    "local at = 0\n"
    "if data:sub(1, 3) == ':W&' then at = math.min(7, #data) end\n"
    "while true do\n"
    "  local bytes, stop, code = wandb.unframe(data, at)\n"
    "  if not bytes then\n"
    "    assert(stop == nil or code == 'cut' or code == 'checksum' or code == 'format')\n"
    "    break\n"
    "  end\n"
    "  assert(stop > at and stop <= #data)\n"
    "  read(bytes)\n"
    "  at = stop\n"
    "end\n"
    "read(data)\n"
    "local place = #data > 1 and (data:byte(1) << 8 | data:byte(2)) % 32768 or 0\n"
    "local before = ('x'):rep(place)\n"
    "local bytes, stop = wandb.unframe(before .. wandb.frame(place, data), place)\n"
    "assert(bytes == data and stop >= place + #data + 7)\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_program("ft.wandb", luaopen_ft_wandb, program, data, size);
}
