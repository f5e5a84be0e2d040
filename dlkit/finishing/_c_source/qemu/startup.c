/* What runs before main on a Cortex-M: memory set up, the floating-point unit switched on, output by semihosting. */
#include <stdint.h>

extern uint32_t stack_top, data_in_flash, data_start, data_end, bss_start, bss_end;
extern void initialise_monitor_handles(void);
extern void exit(int);
int main(void);

#define COPROCESSORS (*(volatile uint32_t *)0xE000ED88u) /* CPACR: access to the coprocessors, see the Armv7-M manual */

void start(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    COPROCESSORS |= 0xFu << 20;
    __asm volatile("dsb\nisb");
#endif
    const uint32_t *from = &data_in_flash;
    for (uint32_t *to = &data_start; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    initialise_monitor_handles();
    exit(main());
}

static void fault(void) {
    __asm volatile("bkpt 1"); /* which QEMU ends with an error */
    for (;;) {
    }
}

/* The top of the stack and the first handlers, as the processor expects them at the beginning of the flash. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[6])(void);
} vectors = {&stack_top, {start, fault, fault, fault, fault, fault}};
