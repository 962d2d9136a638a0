/*
 * The statistics block at the end of a run: the lines that users of the Python script know.
 *
 * Pure: numbers in, text out.
 */
#ifndef KX_STATS_SUMMARY_H
#define KX_STATS_SUMMARY_H

#include "base/buf.h"
#include <stdint.h>

struct kx_summary {
    uint64_t runtime_ns;
    uint64_t devices;       /* device updates taken */
    uint64_t events;        /* events taken */
    int64_t last_update_ns; /* wall clock of the newest of them; 0 = none came */
};

enum { KX_SUMMARY_NUMBER_MAX = 28 };
/* 1234567 as "1,234,567", somewhere in out. */
const char *kx_summary_number(uint64_t value, char out[KX_SUMMARY_NUMBER_MAX]);

void kx_summary_write(struct kx_buf *out, const struct kx_summary *summary);

#endif
