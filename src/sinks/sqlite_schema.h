/*
 * The tables of a database file: made, adopted, migrated.
 *
 * The statements below are the truth: a fresh file gets them, a file that has some of the tables
 * (the Python script's, another tool's, an older version's) gets the columns it lacks and nothing
 * else of it is touched. PRAGMA user_version holds the number of the last migration; a higher one
 * is a newer version's, whose changes only add. One transaction, none when nothing is missing.
 */
#ifndef KX_SINKS_SQLITE_SCHEMA_H
#define KX_SINKS_SQLITE_SCHEMA_H

#include "sinks/sqlite_db.h"

enum { KX_SQLITE_SCHEMA_VERSION = 1 };

enum kx_outcome kx_sqlite_schema_apply(struct kx_sqlite_db *db, struct kx_error *err);

#endif
