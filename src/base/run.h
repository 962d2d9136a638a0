/*
 * Which run of the program this is: with a record's sequence its identity for good.
 *
 * Random, made at the first call, the same for the life of the process. Any thread.
 */
#ifndef KX_BASE_RUN_H
#define KX_BASE_RUN_H

#include <stdint.h>

enum { KX_RUN_BYTES = 16 };

const uint8_t *kx_run_id(void); /* KX_RUN_BYTES of them */

#endif
