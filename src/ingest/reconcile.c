/* When to ask REST, and what its answers say of the monitor; the rules stand in the header. */
#include "ingest/reconcile.h"

#include "base/clock.h"

enum { INTERVAL_S_MIN = 2, SEEN_AHEAD_S_MAX = 300 };

void kx_reconcile_init(struct kx_reconcile *reconcile, const struct kx_source_config *config)
{
    uint64_t interval_ns = config->reconcile_ns != 0 ? config->reconcile_ns : 2 * config->rate_ns;
    if (interval_ns < INTERVAL_S_MIN * KX_NS_PER_S)
        interval_ns = INTERVAL_S_MIN * KX_NS_PER_S;
    *reconcile = (struct kx_reconcile){
        .mode = config->mode, .rate_ns = config->rate_ns, .interval_ns = interval_ns};
}

void kx_reconcile_start(struct kx_reconcile *reconcile, uint64_t now_ns)
{
    reconcile->due_ns = reconcile->mode == KX_MODE_MONITOR ? UINT64_MAX : now_ns;
    reconcile->full_due_ns = now_ns;
    reconcile->strikes = 0;
    reconcile->judge_from_s = 0;
}

bool kx_reconcile_polls(const struct kx_reconcile *reconcile)
{
    return reconcile->mode == KX_MODE_POLL || reconcile->blind;
}

bool kx_reconcile_wants_monitor(const struct kx_reconcile *reconcile)
{
    return reconcile->mode != KX_MODE_POLL && (!reconcile->blind || reconcile->trial_due_ns == 0);
}

bool kx_reconcile_trial(struct kx_reconcile *reconcile, uint64_t now_ns)
{
    if (!reconcile->blind || reconcile->trial_due_ns == 0 || now_ns < reconcile->trial_due_ns)
        return false;
    reconcile->trial_due_ns = 0; /* the trial is under way */
    reconcile->trial_passes = 0;
    reconcile->strikes = 0;
    reconcile->judge_from_s = 0;
    return true;
}

void kx_reconcile_trial_over(struct kx_reconcile *reconcile, uint64_t now_ns)
{
    reconcile->trial_due_ns = now_ns + KX_RECONCILE_TRIAL_S * KX_NS_PER_S;
}

int64_t kx_reconcile_begin(struct kx_reconcile *reconcile, int64_t server_now_s, uint64_t now_ns)
{
    reconcile->begun_ns = now_ns;
    reconcile->missed = 0;
    reconcile->server_now_s = server_now_s;
    /* The first pass only sets the mark from which on the monitor is answerable. */
    reconcile->judging = reconcile->judge_from_s != 0 && reconcile->mode == KX_MODE_AUTO &&
                         kx_reconcile_wants_monitor(reconcile);
    if (reconcile->judge_from_s == 0)
        reconcile->judge_from_s = server_now_s + 1; /* this second began before the monitor did */
    reconcile->full = now_ns >= reconcile->full_due_ns;
    int64_t overlap_s = 2 * (int64_t)(reconcile->rate_ns / KX_NS_PER_S) + KX_RECONCILE_OVERLAP_S;
    int64_t since_s = reconcile->newest_seen_s - overlap_s;
    return reconcile->full || since_s <= 0 ? 0 : since_s;
}

/* One device whose clock is far ahead must not hide the others from the next pass. */
static void seen(struct kx_reconcile *reconcile, int64_t last_seen_s)
{
    bool sane =
        reconcile->server_now_s == 0 || last_seen_s <= reconcile->server_now_s + SEEN_AHEAD_S_MAX;
    if (sane && last_seen_s > reconcile->newest_seen_s)
        reconcile->newest_seen_s = last_seen_s;
}

void kx_reconcile_passed_over(struct kx_reconcile *reconcile, int64_t last_seen_s)
{
    seen(reconcile, last_seen_s);
}

/*
 * The entry's marks: mod_time_monitor is the newest state that the monitor sent; mod_time_rest the
 * oldest state that REST told and the monitor has not sent, 0 when there is none, negative once it
 * was counted as missed.
 */
void kx_reconcile_monitor(struct kx_reconcile *reconcile,
                          struct kx_registry_entry *entry,
                          int64_t mod_time_s,
                          int64_t last_seen_s)
{
    seen(reconcile, last_seen_s);
    if (mod_time_s > entry->mod_time_monitor)
        entry->mod_time_monitor = mod_time_s;
    int64_t owed = entry->mod_time_rest < 0 ? -entry->mod_time_rest : entry->mod_time_rest;
    if (entry->mod_time_monitor >= owed)
        entry->mod_time_rest = 0;
}

bool kx_reconcile_rest(struct kx_reconcile *reconcile,
                       struct kx_registry_entry *entry,
                       int64_t mod_time_s,
                       int64_t last_seen_s,
                       bool news)
{
    seen(reconcile, last_seen_s);
    int64_t owed = entry->mod_time_rest < 0 ? -entry->mod_time_rest : entry->mod_time_rest;
    if (owed != 0 && owed < reconcile->judge_from_s)
        owed = entry->mod_time_rest = 0; /* of an earlier connection */
    if (owed == 0 && mod_time_s > entry->mod_time_monitor && mod_time_s >= reconcile->judge_from_s)
        owed = entry->mod_time_rest = mod_time_s;
    if (!reconcile->judging || owed == 0)
        return false;
    int64_t allowed_s =
        (int64_t)((reconcile->rate_ns + KX_NS_PER_S - 1) / KX_NS_PER_S) + KX_RECONCILE_GRACE_S;
    if (reconcile->server_now_s - owed <= allowed_s)
        return false;
    reconcile->missed++;
    bool first = entry->mod_time_rest > 0;
    entry->mod_time_rest = -owed;
    return first || news;
}

static void plan(struct kx_reconcile *reconcile, uint64_t now_ns)
{
    uint64_t interval_ns =
        kx_reconcile_polls(reconcile) ? reconcile->rate_ns : reconcile->interval_ns;
    uint64_t took_ns = now_ns - reconcile->begun_ns;
    uint64_t rest_ns = took_ns < KX_RECONCILE_WAIT_S_MAX * KX_NS_PER_S
                           ? took_ns
                           : KX_RECONCILE_WAIT_S_MAX * KX_NS_PER_S;
    /* A server that needs longer than we leave it has as much peace as work. */
    reconcile->due_ns =
        took_ns > interval_ns ? now_ns + rest_ns : reconcile->begun_ns + interval_ns;
    if (reconcile->mode == KX_MODE_MONITOR)
        reconcile->due_ns = UINT64_MAX;
}

static enum kx_verdict judge(struct kx_reconcile *reconcile, uint64_t now_ns)
{
    if (reconcile->missed > 0) {
        reconcile->strikes++;
        if (reconcile->strikes < KX_RECONCILE_STRIKES)
            return KX_VERDICT_NONE;
        bool before = reconcile->blind;
        reconcile->blind = true;
        reconcile->strikes = 0;
        kx_reconcile_trial_over(reconcile, now_ns);
        return before ? KX_VERDICT_NONE : KX_VERDICT_BLIND;
    }
    reconcile->strikes = 0;
    if (!reconcile->blind)
        return KX_VERDICT_NONE;
    /* A trial: three passes without a miss. */
    if (++reconcile->trial_passes < KX_RECONCILE_STRIKES + 1)
        return KX_VERDICT_NONE;
    reconcile->blind = false;
    return KX_VERDICT_TRUSTED;
}

enum kx_verdict kx_reconcile_end(struct kx_reconcile *reconcile, bool ok, uint64_t now_ns)
{
    enum kx_verdict verdict = KX_VERDICT_NONE;
    if (ok && reconcile->full)
        reconcile->full_due_ns = now_ns + KX_RECONCILE_FULL_S * KX_NS_PER_S;
    if (ok && reconcile->judging)
        verdict = judge(reconcile, now_ns);
    plan(reconcile, now_ns);
    return verdict;
}
