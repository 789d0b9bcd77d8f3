/* Fuzzing a native module from Lua: the input meets a short program that knows what must hold. */
#ifndef FT_FUZZ_PROGRAM_H
#define FT_FUZZ_PROGRAM_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

/* Runs `program` with the module and the input as its arguments, in a state that is made at the
 * first call and kept. An error in it is a finding: it is printed, and the process aborts. 0. */
int fuzz_program(const char *module, lua_CFunction open, const char *program, const uint8_t *data,
                 size_t size);

#endif
