/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-fixture.h"

#include <string.h>

AgentBed bed;
AgentPdu pdu;

void
agent_set_up(void)
{
    agent_bed_init(&bed, TRUE);
    pdu = (AgentPdu){.transaction = 7};
}

void
agent_tear_down(void)
{
    agent_pdu_clear(&pdu);
    agent_bed_clear(&bed);
}

void
check_last_error(const char *part)
{
    g_autofree char *text = vadm_settings_get_last_error(bed.settings);

    ck_assert_msg(strstr(text, part) != NULL, "lvaConfigLastError is %s", text);
}
