/* SPDX-License-Identifier: GPL-2.0-only */
/* The faults. Included by fault.h and fault.c, each with a VS_FAULT() of its own. */

/* the module's load */
VS_FAULT(workqueue)
VS_FAULT(sleep_watch)
VS_FAULT(chardev_region)
VS_FAULT(chardev_class)
VS_FAULT(genl)

/* a device's making */
VS_FAULT(device)
VS_FAULT(queues)
VS_FAULT(slots)
VS_FAULT(tags)
VS_FAULT(disk)
VS_FAULT(add_disk)
VS_FAULT(chardev_name)
VS_FAULT(chardev)

/* a session's making */
VS_FAULT(session)
VS_FAULT(area_list)
VS_FAULT(area_page)
VS_FAULT(area_vmap)
VS_FAULT(channels)
VS_FAULT(contents)
VS_FAULT(attach_answer)
VS_FAULT(mmap)

/* its end, and the next one's beginning */
VS_FAULT(pinned)
VS_FAULT(reserve)

/* netlink */
VS_FAULT(reply)
VS_FAULT(reply_full)
VS_FAULT(event)
VS_FAULT(event_full)
VS_FAULT(dump_full)

/* the data path: a doorbell or completion is lost; some are taken late, ended late, taken twice */
VS_FAULT(doorbell)
VS_FAULT(lost_completion)
VS_FAULT(late_claim)
VS_FAULT(late_end)
VS_FAULT(duplicate)

/* the helper is killed in the middle of a step (docs/ARCHITECTURE.md) */
VS_FAULT(die_request)
VS_FAULT(die_submit)
VS_FAULT(die_doorbell)
VS_FAULT(die_enter)
VS_FAULT(die_claimed)
VS_FAULT(die_ended)

/* the same where a submitter that waits awake takes the completions */
VS_FAULT(spin_late_claim)
VS_FAULT(spin_late_end)
VS_FAULT(spin_die_claimed)
VS_FAULT(spin_die_ended)
