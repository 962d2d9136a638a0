/*
 * What a failure of PostgreSQL's means for us, by its SQLSTATE: data, and one look-up.
 *
 * Constant, any thread. A row holds a whole SQLSTATE or the class that it begins with; the longer
 * one counts. What stands in no row is KX_RETRY with `known` false: the sink gives such a batch a
 * few tries and then takes it for one that the server refuses.
 */
#ifndef KX_SINKS_POSTGRES_SQLSTATE_H
#define KX_SINKS_POSTGRES_SQLSTATE_H

#include "batch/sink.h"

enum { KX_SQLSTATE_LENGTH = 5 };

struct kx_postgres_fault {
    const char *state; /* the SQLSTATE, or its first two characters; "" = in no row */
    enum kx_outcome outcome;
    enum kx_code code;
    bool keeps; /* the connection is as good as before once the transaction is rolled back */
    const char *remedy; /* what to do about it; NULL = the server's words say it */
};

/* Never NULL. An empty state is a connection that failed. */
const struct kx_postgres_fault *kx_postgres_fault_find(const char *state);
static inline bool kx_postgres_fault_known(const struct kx_postgres_fault *fault)
{
    return fault->state[0] != '\0';
}

#endif
