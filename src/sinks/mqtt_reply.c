/* The table of answers; what it is for stands in the header. */
#include "sinks/mqtt_reply.h"

static const char login[] = "check username and password_file";
static const char rights[] = "let this user write the sink's topics in the broker's ACL";

static const struct kx_mqtt_reply replies[] = {
    {1, KX_RETRY, KX_ERR_PROTOCOL, "unacceptable protocol version", "set protocol: 3.1.1"},
    {2, KX_HOLD, KX_ERR_CONFIG, "client identifier rejected", "set client_id"},
    {3, KX_RETRY, KX_ERR_UNAVAILABLE, "server unavailable", NULL},
    {4, KX_HOLD, KX_ERR_AUTH, "bad user name or password", login},
    {5, KX_HOLD, KX_ERR_AUTH, "not authorized", login},
    {0x80, KX_RETRY, KX_ERR_UNAVAILABLE, "unspecified error", NULL},
    {0x81, KX_RETRY, KX_ERR_PROTOCOL, "malformed packet", NULL},
    {0x82, KX_RETRY, KX_ERR_PROTOCOL, "protocol error", NULL},
    {0x83, KX_RETRY, KX_ERR_UNAVAILABLE, "implementation specific error", NULL},
    {0x84, KX_RETRY, KX_ERR_PROTOCOL, "unsupported protocol version", "set protocol: 3.1.1"},
    {0x85, KX_HOLD, KX_ERR_CONFIG, "client identifier not valid", "set client_id"},
    {0x86, KX_HOLD, KX_ERR_AUTH, "bad user name or password", login},
    {0x87, KX_HOLD, KX_ERR_AUTH, "not authorized", rights},
    {0x88, KX_RETRY, KX_ERR_UNAVAILABLE, "server unavailable", NULL},
    {0x89, KX_RETRY, KX_ERR_UNAVAILABLE, "server busy", NULL},
    {0x8a, KX_HOLD, KX_ERR_AUTH, "banned", "ask who runs the broker"},
    {0x8b, KX_RETRY, KX_ERR_UNAVAILABLE, "server shutting down", NULL},
    {0x8c, KX_HOLD, KX_ERR_AUTH, "bad authentication method", login},
    {0x8d, KX_RETRY, KX_ERR_TIMEOUT, "keep alive timeout", NULL},
    {0x8e, KX_RETRY, KX_ERR_UNAVAILABLE, "session taken over",
     "give each client its own client_id"},
    {0x90, KX_HOLD, KX_ERR_CONFIG, "topic name invalid", "set prefix or topic"},
    {0x93, KX_RETRY, KX_ERR_LIMIT, "receive maximum exceeded", NULL},
    {0x95, KX_REJECTED, KX_ERR_LIMIT, "packet too large", "raise the broker's max_packet_size"},
    {0x96, KX_RETRY, KX_ERR_LIMIT, "message rate too high", NULL},
    {0x97, KX_RETRY, KX_ERR_LIMIT, "quota exceeded", NULL},
    {0x98, KX_RETRY, KX_ERR_UNAVAILABLE, "administrative action", NULL},
    {0x99, KX_REJECTED, KX_ERR_PARSE, "payload format invalid", NULL},
    {0x9a, KX_HOLD, KX_ERR_CONFIG, "retain not supported", "the status topic needs it"},
    {0x9b, KX_HOLD, KX_ERR_CONFIG, "QoS not supported", "set a lower qos"},
    {0x9c, KX_HOLD, KX_ERR_CONFIG, "use another server", "set url"},
    {0x9d, KX_HOLD, KX_ERR_CONFIG, "server moved", "set url"},
    {0x9f, KX_RETRY, KX_ERR_LIMIT, "connection rate exceeded", NULL},
    {0xa0, KX_RETRY, KX_ERR_TIMEOUT, "maximum connect time", NULL},
};

const struct kx_mqtt_reply *kx_mqtt_reply(int code)
{
    static const struct kx_mqtt_reply unknown = {0, KX_RETRY, KX_ERR_UNAVAILABLE,
                                                 "a reason that MQTT does not know", NULL};
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
        if (replies[i].code == code)
            return &replies[i];
    return &unknown;
}
