// SPDX-License-Identifier: MIT
/*
 * A heartbeat that survives what kills a guest: one line a second on a serial port of
 * its own. Its memory is locked, its priority is real-time and it allocates nothing,
 * so when the lines stop the kernel itself has stopped.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { PRIORITY = 50, MIB = 1024 * 1024 };

static unsigned long to_mib(unsigned long units, unsigned int unit)
{
	return (unsigned long)((unsigned long long)units * unit / MIB);
}

static int beat(int fd)
{
	struct sysinfo s;
	char line[128];
	int length;

	if (sysinfo(&s))
		return -1;
	length = snprintf(line, sizeof(line), "up %ld s, free %lu MiB, swap free %lu of %lu MiB, load %lu.%02lu\n",
			  s.uptime, to_mib(s.freeram, s.mem_unit), to_mib(s.freeswap, s.mem_unit),
			  to_mib(s.totalswap, s.mem_unit), s.loads[0] >> 16,
			  ((s.loads[0] & 0xffff) * 100) >> 16);
	return write(fd, line, (size_t)length) == length ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct sched_param priority = { .sched_priority = PRIORITY };
	int fd;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_WRONLY | O_NOCTTY);
	if (fd < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) || sched_setscheduler(0, SCHED_FIFO, &priority)) {
		perror("watcher");
		return 1;
	}
	while (!beat(fd))
		sleep(1);
	return 1;
}
