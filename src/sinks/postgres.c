/* The PostgreSQL sink's life. */
#include "sinks/postgres.h"

const struct kx_sink_ops kx_postgres_ops = {.type = "postgres"};
