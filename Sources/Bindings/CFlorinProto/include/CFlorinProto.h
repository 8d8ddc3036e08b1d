// Every message of proto/, as protobuf-c lays it out. Written by scripts/proto.sh.
#pragma once
#include "florin/account/v1/account.pb-c.h"
#include "florin/ledger/v1/ledger.pb-c.h"
#include "florin/notification/v1/notification.pb-c.h"
#include "florin/payment/v1/payment.pb-c.h"
#include "florin/test/v1/test.pb-c.h"
#include "florin/type/v1/type.pb-c.h"
#include "florin/wire/v1/frame.pb-c.h"
#include "opentelemetry/trace.pb-c.h"
