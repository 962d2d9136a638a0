/*
 * The InfluxDB sink: one POST of line protocol a batch, to its v2 interface (the default; also
 * VictoriaMetrics and others speak it), v1 or v3.
 *
 * 204 is confirmed; any other 2xx is not InfluxDB's. What the table of statuses says (http.h) holds
 * but for points older than the bucket keeps: the server takes the others and says how many it left
 * out, and as it goes by time, it is the oldest of the batch that are settled as dropped for
 * retention. A refused credential is read again from its file.
 *
 * Owns the connection, the body and a copy of the credential. One thread. Failure: KX_RETRY without
 * an answer, KX_HOLD for what an operator must mend, KX_REJECTED for what the engine takes apart.
 */
#ifndef KX_SINKS_INFLUXDB_H
#define KX_SINKS_INFLUXDB_H

#include "batch/sink.h"

extern const struct kx_sink_ops kx_influxdb_ops;

#endif
