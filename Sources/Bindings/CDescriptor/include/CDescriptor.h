// What protoc tells its plugins: google/protobuf/descriptor.proto and google/protobuf/compiler/plugin.proto, in C.
#pragma once
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
