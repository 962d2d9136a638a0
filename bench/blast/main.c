/*
 * The blaster as a program, for measurements of the whole exporter.
 *
 *   kx-blast DEVICES [due]
 * Prints `listening on 127.0.0.1:PORT`. Then commands on standard input, each answered by one line:
 *   ready                                 ok 0 or ok 1: whether a client has subscribed
 *   send FRAMES CHANGE                    as fast as it goes
 *   pace RATE FRAMES CHANGE smooth|burst  open loop
 *       ok FRAMES NANOSECONDS LATE LATE_MAX_NS
 * It ends with its input.
 */
#include "blast/blaster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(struct blaster_result result)
{
    printf("ok %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", result.frames, result.took_ns,
           result.late, result.late_max_ns);
}

int main(int argc, char **argv)
{
    unsigned devices = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    if (devices == 0 || devices > 1000000) {
        fprintf(stderr, "usage: kx-blast DEVICES [due]\n");
        return 64;
    }
    struct blaster *blaster = blaster_devices(devices, argc > 2 && strcmp(argv[2], "due") == 0);
    printf("listening on 127.0.0.1:%d\n", blaster_start(blaster));
    fflush(stdout);
    char line[256], shape[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        uint64_t frames;
        unsigned change;
        double rate;
        if (strcmp(line, "ready\n") == 0)
            printf("ok %d\n", blaster_ready(blaster, BLASTER_MONITOR));
        else if (sscanf(line, "send %" SCNu64 " %u", &frames, &change) == 2)
            say(blaster_send(blaster, BLASTER_MONITOR, frames, change));
        else if (sscanf(line, "pace %lf %" SCNu64 " %u %15s", &rate, &frames, &change, shape) ==
                     4 &&
                 rate > 0)
            say(blaster_pace(blaster, rate, frames, change, strcmp(shape, "burst") == 0));
        else
            printf("error: what?\n");
        fflush(stdout);
    }
    return 0;
}
