/*
 * The socket sink.
 */
#include "config/table.h"

static const struct kx_option rows[] = {
    {NOT_BUILT("server-host", "socket")},
    {NOT_BUILT("server-port", "socket")},
};
const struct kx_option_rows kx_rows_socket = KX_OPTION_ROWS(rows);
