// protobuf-c 1.4.
#pragma once
#include <protobuf-c/protobuf-c.h>
