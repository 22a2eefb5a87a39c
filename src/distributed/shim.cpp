// What distributed.rs asks of c10d, the part of libtorch by which PyTorch trains in many processes: a store of strings where they
// meet, and gloo, which sums tensors of the CPU over all of them.

#include "../libtorch/message.h"
#include "group.h"

#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

using c10d::ProcessGroupGloo;

namespace {

std::shared_ptr<::gloo::transport::Device> device_for(const std::string& host) {
  // The variable by which PyTorch chooses a network too.
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME")) {
    return ProcessGroupGloo::createDeviceForInterface(interface);
  }
  if (host == "127.0.0.1" || host == "localhost" || host == "::1") {
    return ProcessGroupGloo::createDeviceForHostname(host);
  }
  return ProcessGroupGloo::createDefaultDevice();
}

} // namespace

extern "C" {

// Meets the others in a store at host:port, which this process keeps if `serves`. All of its keys begin with `name`.
char* strandnet_group_meet(
    const char* host, uint16_t port, bool serves, const char* name, int64_t seconds, StrandnetGroup** out) {
  return message_of([&] {
    // What goes wrong is said once, by the program; c10d would say it too, with the frames of its stack.
    if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
      FLAGS_caffe2_log_level = static_cast<int>(c10::GLOG_FATAL);
    }
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serves;
    options.waitWorkers = false;
    options.timeout = std::chrono::seconds(seconds);
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    *out = new StrandnetGroup{c10::make_intrusive<c10d::PrefixStore>(name, store), nullptr};
  });
}

// Connects them for sums of tensors of the CPU.
char* strandnet_group_connect(StrandnetGroup* group, const char* host, int rank, int size, int64_t seconds) {
  return message_of([&] {
    auto options = ProcessGroupGloo::Options::create(std::chrono::seconds(seconds));
    options->devices.push_back(device_for(host));
    auto store = c10::make_intrusive<c10d::PrefixStore>("gloo", group->store);
    group->backend = c10::make_intrusive<ProcessGroupGloo>(store, rank, size, options);
  });
}

char* strandnet_group_set(StrandnetGroup* group, const char* key, const uint8_t* bytes, size_t size) {
  return message_of([&] { group->store->set(key, std::vector<uint8_t>(bytes, bytes + size)); });
}

// Counts one more under a key; `count` is how many there are then.
char* strandnet_group_count(StrandnetGroup* group, const char* key, int64_t* count) {
  return message_of([&] { *count = group->store->add(key, 1); });
}

// Waits for a key and hands its value to `keep`.
char* strandnet_group_get(
    StrandnetGroup* group, const char* key, int64_t seconds, void* context, void (*keep)(void*, const char*, size_t)) {
  return message_of([&] {
    group->store->wait({key}, std::chrono::seconds(seconds));
    const std::vector<uint8_t> value = group->store->get(key);
    keep(context, reinterpret_cast<const char*>(value.data()), value.size());
  });
}

// Sums a tensor over all processes, in place.
char* strandnet_group_sum(StrandnetGroup* group, const at::Tensor* tensor) {
  return message_of([&] {
    std::vector<at::Tensor> tensors{*tensor};
    group->backend->allreduce(tensors, c10d::AllreduceOptions())->wait();
  });
}

// Copies a tensor of process 0 to all others.
char* strandnet_group_broadcast(StrandnetGroup* group, const at::Tensor* tensor) {
  return message_of([&] {
    std::vector<at::Tensor> tensors{*tensor};
    group->backend->broadcast(tensors, c10d::BroadcastOptions())->wait();
  });
}

void strandnet_group_leave(StrandnetGroup* group) {
  delete group;
}

}
