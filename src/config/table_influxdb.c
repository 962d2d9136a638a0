/*
 * The influxdb sink.
 */
#include "config/table.h"

static const struct kx_option rows[] = {
    {NOT_BUILT("influx-url", "influxdb")}, {NOT_BUILT("influx-token", "influxdb")},
    {NOT_BUILT("influx-org", "influxdb")}, {NOT_BUILT("influx-bucket", "influxdb")},
    {NOT_BUILT("influx-api", "influxdb")},
};
const struct kx_option_rows kx_rows_influxdb = KX_OPTION_ROWS(rows);
