/*
 * One row a sink: a new one adds its name here, and nowhere else in this folder.
 */
#include "sinks/sinks.h"
#include "sinks/console.h"
#include "sinks/influxdb.h"
#include "sinks/mqtt.h"
#include "sinks/postgres.h"
#include "sinks/socket.h"
#include "sinks/sqlite.h"
#include "sinks/webhook.h"

static const struct kx_sink_ops *const table[KX_SINK_TYPES] = {
    [KX_SINK_CONSOLE] = &kx_console_ops,   [KX_SINK_SQLITE] = &kx_sqlite_ops,
    [KX_SINK_POSTGRES] = &kx_postgres_ops, [KX_SINK_INFLUXDB] = &kx_influxdb_ops,
    [KX_SINK_MQTT] = &kx_mqtt_ops,         [KX_SINK_WEBHOOK] = &kx_webhook_ops,
    [KX_SINK_SOCKET] = &kx_socket_ops,
};

const struct kx_sink_ops *kx_sinks_find(enum kx_sink_type type)
{
    KX_ASSERT((unsigned)type < KX_SINK_TYPES && table[type] != NULL);
    return table[type];
}
