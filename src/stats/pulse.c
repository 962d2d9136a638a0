/* Who keeps his time; the contract stands in the header. */
#include "stats/pulse.h"

#include "base/clock.h"
#include <stdlib.h>

#define APART_NS KX_NS_PER_S
#define AWAY_NS (5 * KX_NS_PER_S)

enum kx_code
kx_pulse_create(struct kx_pulse **ret_pulse, const struct kx_feed *feed, struct kx_error *err)
{
    struct kx_pulse *pulse = calloc(1, sizeof *pulse);
    if (pulse != NULL) {
        pulse->feed = feed;
        pulse->threads = calloc(feed->thread_count + 1, sizeof *pulse->threads);
    }
    if (pulse == NULL || pulse->threads == NULL) {
        kx_pulse_destroy(pulse);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the statistics");
    }
    *ret_pulse = pulse;
    return KX_OK;
}

void kx_pulse_destroy(struct kx_pulse *pulse)
{
    if (pulse == NULL)
        return;
    free(pulse->threads);
    free(pulse);
}

static void look(struct kx_pulse_thread *thread, uint64_t alive_ns, uint64_t now_ns, bool away)
{
    if (now_ns <= alive_ns)
        thread->first_ns = 0;
    else if (thread->first_ns == 0 || away)
        thread->first_ns = now_ns;
    bool late = thread->first_ns != 0 && now_ns - thread->first_ns >= APART_NS;
    thread->late_ns = late ? now_ns - alive_ns : 0;
}

void kx_pulse_look(struct kx_pulse *pulse, uint64_t now_ns)
{
    bool away = now_ns - pulse->look_ns > AWAY_NS;
    for (size_t i = 0; i < pulse->feed->thread_count; i++) {
        const struct kx_feed_thread *of = &pulse->feed->threads[i];
        look(&pulse->threads[i], of->alive_ns(of->of), now_ns, away);
    }
    pulse->look_ns = now_ns;
}

size_t kx_pulse_late(const struct kx_pulse *pulse)
{
    size_t i = 0;
    while (i < pulse->feed->thread_count && pulse->threads[i].late_ns == 0)
        i++;
    return i;
}
