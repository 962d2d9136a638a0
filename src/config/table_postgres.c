/*
 * The postgres sink.
 */
#include "config/table.h"

static const struct kx_option rows[] = {
    {NOT_BUILT("postgres-conn", "postgres")},
};
const struct kx_option_rows kx_rows_postgres = KX_OPTION_ROWS(rows);
