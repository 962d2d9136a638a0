/*
 * What each SQLSTATE means: a row of the expectation for each row of the table, and for what is in
 * none.
 */
#include "sinks/postgres_sqlstate.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        enum kx_outcome outcome;
        bool keeps;
    } cases[] = {
        {"08000", KX_RETRY, false},   {"08006", KX_RETRY, false},   {"25006", KX_RETRY, false},
        {"40001", KX_RETRY, true},    {"40P01", KX_RETRY, true},    {"53000", KX_RETRY, false},
        {"53100", KX_RETRY, false},   {"53200", KX_RETRY, false},   {"53300", KX_RETRY, false},
        {"55P03", KX_RETRY, true},    {"57014", KX_RETRY, true},    {"57P01", KX_RETRY, false},
        {"57P02", KX_RETRY, false},   {"57P03", KX_RETRY, false},   {"57P04", KX_HOLD, false},
        {"58030", KX_RETRY, false},   {"28000", KX_HOLD, false},    {"28P01", KX_HOLD, false},
        {"3D000", KX_HOLD, false},    {"3F000", KX_HOLD, false},    {"42501", KX_HOLD, false},
        {"42601", KX_HOLD, false},    {"42703", KX_HOLD, false},    {"42804", KX_HOLD, false},
        {"42P01", KX_HOLD, false},    {"42P10", KX_HOLD, false},    {"22001", KX_REJECTED, true},
        {"22003", KX_REJECTED, true}, {"22021", KX_REJECTED, true}, {"22P02", KX_REJECTED, true},
        {"22P05", KX_REJECTED, true}, {"23502", KX_REJECTED, true}, {"23505", KX_REJECTED, true},
        {"23514", KX_REJECTED, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct kx_postgres_fault *fault = kx_postgres_fault_find(cases[i].state);
        assert_true(kx_postgres_fault_known(fault));
        if (fault->outcome != cases[i].outcome || fault->keeps != cases[i].keeps)
            print_error("%s\n", cases[i].state);
        assert_int_equal(fault->outcome, cases[i].outcome);
        assert_int_equal(fault->keeps, cases[i].keeps);
    }
}

static void test_what_is_in_no_row(void **state)
{
    (void)state;
    static const char *const states[] = {"", "XX000", "0A000", "55006", "25P02", "21000", "26000"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const struct kx_postgres_fault *fault = kx_postgres_fault_find(states[i]);
        assert_int_equal(fault->outcome, KX_RETRY);
        assert_false(kx_postgres_fault_known(fault));
        assert_false(fault->keeps);
    }
}

/* An operator reads the remedy: whatever holds the sink has one. */
static void test_remedies(void **state)
{
    (void)state;
    static const char *const states[] = {"28000", "28P01", "3D000", "3F000", "42501",
                                         "42703", "42P01", "42000", "57P04"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        assert_non_null(kx_postgres_fault_find(states[i])->remedy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_what_is_in_no_row),
        cmocka_unit_test(test_remedies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
