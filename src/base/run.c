/* The run's name; see the header. */
#include "base/run.h"

#include "base/hash.h"
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint8_t run_id[KX_RUN_BYTES];

static void make(void)
{
    kx_hash_random(run_id, sizeof run_id);
}

const uint8_t *kx_run_id(void)
{
    pthread_once(&once, make);
    return run_id;
}
