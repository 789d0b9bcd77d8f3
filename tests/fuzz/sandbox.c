/* Any text as a recipe: it ends, within its memory, and neither the box nor the main state is
 * harmed. Functions that it returns are called with a row. A recipe that only the watchdog can end
 * (status 3, "nothing can interrupt") is no finding. */
#include <stdint.h>

#include "program.h"
#include "sandbox.h"

static const char program[] =
    "local sandbox, source = ...\n"
    "local box <close> = assert(sandbox.new { root = '.', memory_bytes = 1 << 20, instructions = "
    "100000 })\n"
    "box:prelude('@prelude', 'return ...')\n"
    "local value, message, code = box:run('@fuzz', source)\n"
    "assert(code == nil or value == nil and type(message) == 'string')\n"
    "for _, f in pairs(type(value) == 'table' and value or { value }) do\n"
    "  if type(f) == 'userdata' then box:call(f, { id = 1, text = 'текст', list = { 1.5, true } }, "
    "f) end\n"
    "end\n"
    "assert(box:usage().peak_bytes <= 1 << 20)\n"
    "assert(box:run('@after', 'return 1 + 1') == 2)\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_program("ft.sandbox", luaopen_ft_sandbox, program, data, size);
}
