/*
 * Which connections are warned about: by host, address and sslmode.
 */
#include "sinks/postgres_tls.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool weak(const char *conninfo, char text[512])
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &error);
    if (options == NULL)
        fail_msg("%s: %s", conninfo, error);
    bool found = kx_postgres_tls_weak(options, text, 512);
    PQconninfoFree(options);
    return found;
}

static void this_machine_needs_none(void **state)
{
    static const char *const conninfos[] = {
        "",
        "dbname=kismet",
        "host=/run/postgresql",
        "host=@abstract",
        "host=localhost",
        "host=127.0.0.1 sslmode=disable",
        "host=127.3.2.1",
        "host=::1",
        "postgresql://kismet@localhost/kismet",
        "postgresql://kismet@[::1]/kismet",
        "postgresql:///kismet",
        "host=/run/a,localhost,127.0.0.1",
        "host=db.example hostaddr=127.0.0.1",
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof conninfos / sizeof conninfos[0]; i++)
        if (weak(conninfos[i], text))
            fail_msg("%s: %s", conninfos[i], text);
}

static void others_need_verify_full(void **state)
{
    static const struct {
        const char *conninfo, *mode, *host;
    } rows[] = {
        {"host=db.example", "sslmode=prefer", "to db.example:"},
        {"host=db.example sslmode=disable", "sslmode=disable", "in clear"},
        {"host=db.example sslmode=allow", "sslmode=allow", "in clear"},
        {"host=db.example sslmode=require", "sslmode=require", "any server at all"},
        {"host=db.example sslmode=verify-ca", "sslmode=verify-ca", "of that CA"},
        {"postgresql://u:p@db.example:5433/k?sslmode=require", "sslmode=require", "db.example"},
        {"host=localhost,10.0.0.7", "sslmode=prefer", "to 10.0.0.7:"},
        {"host=localhost.example", "sslmode=prefer", "to localhost.example:"},
        {"host=::12", "sslmode=prefer", "to ::12:"},
        {"host=localhost hostaddr=192.0.2.1", "sslmode=prefer", "to 192.0.2.1:"},
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!weak(rows[i].conninfo, text))
            fail_msg("%s is taken for safe", rows[i].conninfo);
        if (strstr(text, rows[i].mode) == NULL || strstr(text, rows[i].host) == NULL)
            fail_msg("%s: %s", rows[i].conninfo, text);
        assert_null(strstr(text, "u:p"));
    }
}

static void verify_full_is_enough(void **state)
{
    char text[512];
    (void)state;
    assert_false(weak("host=db.example sslmode=verify-full", text));
    assert_false(weak("postgresql://a,b/k?sslmode=verify-full", text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_needs_none),
        cmocka_unit_test(others_need_verify_full),
        cmocka_unit_test(verify_full_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
