/*
 * `kismet-export schema`: the SQL that a sink's database wants now, on standard output, for its
 * owner to read and to run.
 *
 * No thread; waits for the database for some seconds at most. Changes nothing. Where the database
 * cannot be reached, the SQL of a new one is printed, and a note goes to standard error. Failure:
 * KX_ERR_USAGE (no such sink, or not PostgreSQL), KX_ERR_UNAVAILABLE (what is there cannot be
 * read).
 */
#ifndef KX_SCHEMA_H
#define KX_SCHEMA_H

#include "config/config.h"

enum kx_code kx_schema_run(const struct kx_config *config, struct kx_error *err);

#endif
