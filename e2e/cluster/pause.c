/* Holds a pod's namespaces: sleeps until told to end, and reaps what is left to it as PID 1. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_term(int signal) { (void)signal; _exit(0); }

static void on_child(int signal) {
    (void)signal;
    while (waitpid(-1, 0, WNOHANG) > 0) {}
}

int main(void) {
    struct sigaction term = {.sa_handler = on_term}, child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
    sigaction(SIGTERM, &term, 0);
    sigaction(SIGINT, &term, 0);
    sigaction(SIGCHLD, &child, 0);
    for (;;) pause();
}
