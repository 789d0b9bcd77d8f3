/* What the parts of the sandbox share; private to them. Code below runs on the box's own state,
 * reached from C functions there by ft_box_of, and never touches the main state. */
#ifndef FT_SANDBOX_BOX_H
#define FT_SANDBOX_BOX_H

#include <lua.h>
#include <stddef.h>

#include "encoder.h"
#include "state.h"

enum { FT_BOX_SOURCE_MAX = 4 << 20, FT_BOX_LABEL = 200 };

enum ft_box_cause { FT_BOX_NONE, FT_BOX_INSTRUCTIONS, FT_BOX_TIME };

/* One file that the recipe has read. */
struct ft_box_file {
  struct ft_box_file *next;
  char *bytes;
  size_t len;
  int running; /* includes of it that have not ended */
  char path[]; /* below the root, normalized */
};

struct ft_box {
  lua_State *B; /* NULL: closed */
  struct ft_memory memory;
  lua_Integer instructions; /* for each run and call */
  double seconds;
  char *root; /* real path */
  struct ft_box_file *files, **files_end;
  size_t files_bytes;
  int running;
  lua_Integer left;           /* of the instructions */
  enum ft_box_cause cause;    /* why the hook ended the code */
  char where[FT_BOX_LABEL];   /* "file:line", at that moment */
  char chunk[FT_BOX_LABEL];   /* the recipe's chunk name without "@" */
  char prelude[FT_BOX_LABEL]; /* the prelude's, with "@" */
  size_t print_left;          /* bytes that the recipe may still print */
};

/* A function of the recipe, as userdata of M. User value 1 is its box. */
struct ft_box_function {
  struct ft_box *box;
  lua_Integer id; /* 0: given back */
};

/* What one call of B is asked to do. */
struct ft_box_request {
  struct ft_box *box;
  lua_State *M;
  const char *chunkname, *source; /* run and prelude */
  size_t len;
  int first, count;           /* call: arguments, on M's stack */
  lua_Integer id;             /* call: the function */
  struct ft_encoder *encoder; /* call: of a result that is a table, or NULL */
  const char *bytes;          /* as which it was written; NULL: it could not be */
  const char *code;           /* set before an error that is not a runtime error */
  lua_Integer first_handle;   /* handles that the result needs: ids from here on */
};

/* Runs one of the following in B, within its limits; leaves [handler, result or error] on B's
 * stack; returns a Lua status. The code may have swallowed the end of its budget: look at
 * box->cause. Never raises in M. */
int ft_box_enter(struct ft_box *box, lua_CFunction fn, struct ft_box_request *r);
int ft_box_run(lua_State *B);
int ft_box_call(lua_State *B);
int ft_box_prelude(lua_State *B);

/* Prepares a new state; in a protected call. */
int ft_box_set_up(lua_State *B);

/* Functions that M holds, by number. Neither can raise; both need two free slots. */
void ft_box_push_function(lua_State *B, lua_Integer id);
void ft_box_drop_function(lua_State *B, lua_Integer id);

/* The box whose state this is. */
struct ft_box *ft_box_of(lua_State *B);

/* Fills source, short_src, what and currentline of the nearest Lua frame that is not the prelude's;
 * 0 when there is none. */
int ft_box_frame(lua_State *B, lua_Debug *ar);

/* Raises with the place of that frame. */
int ft_box_error(lua_State *B, const char *fmt, ...);

/* Builds environments, out of allow-listed library functions, and a string metatable that shows
 * nothing. Pushes a new environment. [-0, +1, m] */
void ft_box_push_env(lua_State *B);
void ft_box_seal_strings(lua_State *B);

/* Why a global of plain Lua is missing, or NULL when it is not one of them. */
const char *ft_box_denied(const char *global);

/* Pushes the natives `include` and `text`; include runs its chunks in the environment at index.
 * [-0, +1, m] */
void ft_box_push_include(lua_State *B, int env);
int ft_box_text(lua_State *B);

void ft_box_free_files(struct ft_box *box);

/* Loads source as a text chunk with the environment at index as its own; returns a Lua status. [-0,
 * +1, m] */
int ft_box_load(lua_State *B, const char *source, size_t len, const char *chunkname, int env);

/* truncate(s, n) */
int ft_box_truncate(lua_State *B);

#endif
