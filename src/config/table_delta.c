/*
 * When a device is told again.
 */
#include "config/table.h"

#include "config/check.h"

static const char *const delta_modes[] = {"changed", "fields", "off", NULL};

static const struct kx_option rows[] = {
    {.key = "mode",
     .kind = KX_OPTION_CHOICE,
     .scope = KX_SCOPE_DELTA,
     IN_DELTA(mode),
     .choices = delta_modes,
     .fallback = "changed",
     .help = "Write a device when a field changed; then also say which (fields); or always (off)"},
    {.key = "deadband",
     .kind = KX_OPTION_PAIRS,
     .scope = KX_SCOPE_DELTA,
     IN_DELTA(deadband),
     .check = kx_check_deadbands,
     .fallback_words = "none",
     .help = "How far a number may move unsaid, as in {signal_dbm: 3, latitude: 0.0001}"},
    {.key = "ignore",
     .kind = KX_OPTION_LIST,
     .scope = KX_SCOPE_DELTA,
     IN_DELTA(ignore),
     .check = kx_check_fields,
     .fallback_words = "none",
     .help = "Fields that alone are no reason to write a device"},
    {.key = "heartbeat",
     .kind = KX_OPTION_DURATION,
     .scope = KX_SCOPE_DELTA,
     IN_DELTA(heartbeat_ns),
     .min = SECOND,
     .max = 7 * DAY,
     .zero = "off",
     .fallback = "off",
     .help = "Write a device that is still heard at the latest after this time, whatever holds it "
             "back"},
    {.key = "min_interval",
     .kind = KX_OPTION_DURATION,
     .scope = KX_SCOPE_DELTA,
     IN_DELTA(min_interval_ns),
     .min = 100 * MS,
     .max = 7 * DAY,
     .zero = "off",
     .fallback = "off",
     .help = "Time between two records of one device, at least; the newest is written then"},
    {.key = "max_age",
     .kind = KX_OPTION_DURATION,
     .scope = KX_SCOPE_DELTA,
     IN_DELTA(max_age_ns),
     .min = SECOND,
     .max = 3650 * DAY,
     .zero = "any",
     .help = "Leave out devices that were not heard for longer; any in a replay and with --once"},
    {.key = "max_rate",
     .kind = KX_OPTION_RATE,
     .scope = KX_SCOPE_DELTA,
     IN_DELTA(max_rate),
     .min = 1,
     .max = 1000000,
     .zero = "off",
     .fallback = "off",
     .help = "Devices a second at most, as in 100/s; the newest of each is written when its turn "
             "comes"},
};
const struct kx_option_rows kx_rows_delta = KX_OPTION_ROWS(rows);
