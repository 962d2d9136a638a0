/* The probe of a webhook; the contract stands in the header. */
#include "sinks/webhook_probe.h"

#include "base/clock.h"
#include "sinks/webhook_post.h"
#include <strings.h>

enum { PROBE_S = 12, ENDS_SOON_DAYS = 14, DAY_S = 86400 };

static void say_certificate(const struct kx_sink_config *config,
                            const struct kx_http_answer *answer,
                            struct kx_probe *probe)
{
    if (config->tls.insecure) {
        kx_probe_warn(probe, "set tls.ca_file instead of tls.insecure",
                      "its certificate is not looked at");
        return;
    }
    if (answer->certificate_ends_s == 0)
        return;
    int64_t left_s = answer->certificate_ends_s - kx_clock_wall_ns() / (int64_t)KX_NS_PER_S;
    if (left_s < (int64_t)ENDS_SOON_DAYS * DAY_S)
        kx_probe_warn(probe, "have it renewed", "its certificate ends in %lld days",
                      (long long)(left_s / DAY_S));
    else
        kx_probe_ok(probe, "its certificate is accepted (%s)", answer->issuer);
}

/* An answer to OPTIONS says little: whoever listens gives one. */
static void
say_options(const struct kx_http_answer *answer, const char *who, struct kx_probe *probe)
{
    long status = answer->status;
    if (status == 401 || status == 403)
        kx_probe_warn(probe, "set probe: empty, which is signed as any other request",
                      "%s answers %ld to OPTIONS: whether it takes ours is not known", who, status);
    else if (status == 404 || status == 410)
        kx_probe_warn(probe, "look at the path in `url`; probe: empty asks with a POST",
                      "%s answers %ld to OPTIONS: perhaps nobody receives there", who, status);
    else if (status >= 500)
        kx_probe_warn(probe, "look at its log", "%s answers %ld to OPTIONS", who, status);
    else
        kx_probe_ok(probe, "%s answers (%ld to OPTIONS)", who, status);
}

static void
say_empty(struct kx_webhook_post *post, const struct kx_http_answer *answer, struct kx_probe *probe)
{
    struct kx_error err;
    enum kx_outcome outcome = kx_webhook_post_judge(post, answer, NULL, &err);
    if (outcome == KX_SENT)
        kx_probe_ok(probe, "%s takes a request without records (%ld)%s", post->who, answer->status,
                    kx_secret_is_set(&post->secret) ? ", signed" : "");
    else if (outcome == KX_REJECTED)
        kx_probe_warn(probe, "it may refuse empty requests only",
                      "%s answers %ld to a request without records", post->who, answer->status);
    else
        kx_probe_fail(probe, NULL, "%s", err.text);
}

static void say_secret(const struct kx_webhook_post *post, struct kx_probe *probe)
{
    bool plain = strncasecmp(post->config->webhook.url, "http:", 5) == 0;
    if (!kx_secret_is_set(&post->secret))
        kx_probe_warn(probe, "set secret_file there and here",
                      "requests are not signed: whoever knows the address can forge them");
    else if (plain)
        kx_probe_ok(probe, "requests are signed; over http:// whoever sits between can read them");
    else
        kx_probe_ok(probe, "requests are signed");
}

enum kx_code kx_webhook_probe(const struct kx_sink_config *config, struct kx_probe *probe)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + PROBE_S * KX_NS_PER_S,
                           .stop_fd = -1};
    struct kx_webhook_post post;
    struct kx_http_answer answer;
    struct kx_error err;
    bool empty = config->webhook.probe == KX_WEBHOOK_PROBE_EMPTY;
    if (kx_webhook_post_open(&post, config, true, &err) != KX_OK) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return KX_OK;
    }
    const bool array = config->webhook.format == KX_WEBHOOK_ARRAY;
    const struct kx_span none = {array ? "[]" : "\n", array ? 2 : 1};
    enum kx_code code = kx_webhook_post_send(&post, empty ? NULL : "OPTIONS", empty ? &none : NULL,
                                             NULL, &call, &answer, &err);
    if (code != KX_OK) {
        kx_probe_fail(probe, NULL, "%s", err.text);
    } else {
        say_certificate(config, &answer, probe);
        if (empty)
            say_empty(&post, &answer, probe);
        else
            say_options(&answer, post.who, probe);
        say_secret(&post, probe);
        if (!empty)
            kx_probe_ok(probe, "whether it takes our records and signature, only they can tell; "
                               "probe: empty asks with a signed request without records");
    }
    kx_webhook_post_close(&post);
    return KX_OK;
}
