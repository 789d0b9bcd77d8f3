/* The parts of the dataset module: the value encoder (json_encode.c), values by their path
 * (json_pick.c), JSONL files (jsonl_writer.c, jsonl_reader.c), their rows' skeletons
 * (jsonl_scan.c), and the memory of texts that were there (seen.c). */
#ifndef FT_DATASET_H
#define FT_DATASET_H

#include <lua.h>
#include <stddef.h>

#include "jsonscan.h"

struct ft_lines;

/* Metatable names: a checked JSON text (struct ft_dataset_raw, its text as user value 1), a table
 * marked as an array. */
#define FT_DATASET_RAW "ft.dataset.Raw"
#define FT_DATASET_ARRAY "ft.dataset.Array"

struct ft_dataset_raw {
  int depth; /* levels of the text */
};

/* The path at arg and the optional longest line at max_arg; raises on others. [-0, +0, v] */
const char *ft_dataset_check_path(lua_State *L, int arg, int max_arg, size_t *max_line);

/* Pushes nil, message and code of the fault that ended the reading; returns 3. [-0, +3, m] */
int ft_dataset_lines_fault(lua_State *L, const struct ft_lines *l, const char *path);

/* dataset.encode, encoder, pick, writer, reader, seen, shape and scan, as functions for Lua. pick
 * needs a scanner as upvalue 1, encode an encoder as upvalue 2. */
int ft_dataset_pick(lua_State *L);
int ft_dataset_encode(lua_State *L);
int ft_dataset_encoder(lua_State *L);
int ft_dataset_writer(lua_State *L);
int ft_dataset_reader(lua_State *L);
int ft_dataset_seen(lua_State *L);
int ft_dataset_shape(lua_State *L);
int ft_dataset_scan(lua_State *L);

/* Pushes nil, message, code, offset; how many. */
int ft_dataset_push_fault(lua_State *L, const struct ft_json *s);

/* [-0, +1, m] */
void ft_dataset_push_encoder(lua_State *L);

/* Register the types that these make. [-0, +0, m] */
void ft_dataset_encode_types(lua_State *L);
void ft_dataset_writer_types(lua_State *L);
void ft_dataset_reader_types(lua_State *L);
void ft_dataset_seen_types(lua_State *L);
void ft_dataset_scan_types(lua_State *L);

#endif
