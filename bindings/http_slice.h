/* A file, or a part of one, as the body of a request: read as it is sent, at no more than its size
 * when it was opened. */
#ifndef FT_HTTP_SLICE_H
#define FT_HTTP_SLICE_H

#include <curl/curl.h>

struct ft_http_slice;

/* Opens `bytes` bytes from `from` on, at most to the file's end. NULL, or why not. */
const char *ft_http_slice_open(struct ft_http_slice **slice, const char *path, double from,
                               double bytes);

/* Makes it a part of a multipart body, which owns it from then on, also when this fails. */
CURLcode ft_http_slice_to_part(struct ft_http_slice *slice, curl_mimepart *part);

/* Makes it the whole body of a request; it must live as long as the request. */
void ft_http_slice_to_body(struct ft_http_slice *slice, CURL *easy);

/* NULL is fine. */
void ft_http_slice_free(struct ft_http_slice *slice);

#endif
