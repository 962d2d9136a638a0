/*
 * The mqtt sink.
 */
#include "config/table.h"

static const struct kx_option rows[] = {
    {NOT_BUILT("mqtt-host", "mqtt")},         {NOT_BUILT("mqtt-port", "mqtt")},
    {NOT_BUILT("mqtt-topic-prefix", "mqtt")}, {NOT_BUILT("mqtt-username", "mqtt")},
    {NOT_BUILT("mqtt-password", "mqtt")},
};
const struct kx_option_rows kx_rows_mqtt = KX_OPTION_ROWS(rows);
