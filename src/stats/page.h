/*
 * The page at "/": page.html, one self-contained file that is built in.
 *
 * Constant data. The page may have inline <script> and <style> elements, without attributes; the
 * policy that it is sent with allows exactly those, by their hashes, and requests to where it came
 * from.
 */
#ifndef KX_STATS_PAGE_H
#define KX_STATS_PAGE_H

#include "base/buf.h"
#include <stddef.h>

extern const unsigned char kx_page_html[]; /* made of page.html by the build */
extern const size_t kx_page_html_length;

/* The Content-Security-Policy for a page. */
void kx_page_policy(struct kx_buf *out, const char *html, size_t length);

#endif
