/*
 * The SQLite sink: the state table of devices, and if wanted their states by source and their
 * history, the events, the sources; one transaction a batch.
 *
 * The file is opened at the first delivery or idle call, made or adopted (sqlite_schema.h), and
 * opened anew when somebody moves or replaces it. Readers never stop us. What was confirmed is on
 * the disk. Owns the connection; one thread. A locked file is KX_RETRY, a full or read-only disk
 * KX_HOLD, a row that a constraint refuses KX_REJECTED once its neighbours are committed; a damaged
 * file is renamed and a new one begun.
 */
#ifndef KX_SINKS_SQLITE_H
#define KX_SINKS_SQLITE_H

#include "batch/sink.h"

extern const struct kx_sink_ops kx_sqlite_ops;

#endif
