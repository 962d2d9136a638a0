/* What a thread does after one step of its state machine. */
#ifndef KX_BATCH_STEP_H
#define KX_BATCH_STEP_H

enum kx_step {
    KX_STEP_AGAIN, /* another step, with a fresh look at the clock */
    KX_STEP_SLEEP, /* until its wake is signalled or the time that the step gave (0 = none) */
    KX_STEP_END,   /* the thread is done */
};

#endif
