/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ground of the tests of SET: one handler around a fake source, and one PDU to fill and send.
 */
#ifndef VADM_TESTS_AGENT_FIXTURE_H
#define VADM_TESTS_AGENT_FIXTURE_H

#include "agent-request.h"
#include "unit.h"

/* Of the one test that runs in this process. */
extern AgentBed bed;
extern AgentPdu pdu;

/* A writable agent, and an empty PDU of transaction 7. */
void agent_set_up(void);
void agent_tear_down(void);

/* Checks that @part is in lvaConfigLastError. */
void check_last_error(const char *part);

#endif
