/* The page's policy. */
#include "stats/page.h"

#include "base/error.h"
#include <openssl/evp.h>
#include <string.h>

enum { SHA256_BYTES = 32, BASE64_BYTES = 45 };

static void hash_of(struct kx_buf *out, const char *text, size_t length)
{
    unsigned char digest[SHA256_BYTES];
    unsigned char words[BASE64_BYTES];
    unsigned size = 0;
    int done = EVP_Digest(text, length, digest, &size, EVP_sha256(), NULL);
    KX_ASSERT(done == 1 && size == SHA256_BYTES);
    EVP_EncodeBlock(words, digest, SHA256_BYTES);
    kx_buf_text(out, " 'sha256-");
    kx_buf_text(out, (const char *)words);
    kx_buf_byte(out, '\'');
}

/* One directive: the hashes of what stands between begin and end, or 'none'. */
static void directive(struct kx_buf *out,
                      const char *name,
                      const char *html,
                      size_t length,
                      const char *begin,
                      const char *end)
{
    const char *at = html;
    const char *behind = html + length;
    bool any = false;
    kx_buf_text(out, name);
    while ((at = memmem(at, (size_t)(behind - at), begin, strlen(begin))) != NULL) {
        at += strlen(begin);
        const char *stop = memmem(at, (size_t)(behind - at), end, strlen(end));
        if (stop == NULL)
            break;
        hash_of(out, at, (size_t)(stop - at));
        any = true;
        at = stop;
    }
    kx_buf_text(out, any ? "; " : " 'none'; ");
}

void kx_page_policy(struct kx_buf *out, const char *html, size_t length)
{
    kx_buf_text(out, "default-src 'none'; ");
    directive(out, "script-src", html, length, "<script>", "</script>");
    directive(out, "style-src", html, length, "<style>", "</style>");
    kx_buf_text(out, "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                     "frame-ancestors 'none'");
}
