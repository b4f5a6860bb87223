#include "engine/channel.h"

#include <nmlbench/error.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include <sys/socket.h>

namespace nmlbench {
namespace {

using Length = std::uint64_t;

}  // namespace

void send_message(int socket, const nlohmann::json& message) {
  const std::vector<std::uint8_t> body = nlohmann::json::to_cbor(message);
  const Length length = body.size();
  std::string bytes(sizeof length + body.size(), '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, body.data(), body.size());
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(std::string("the other process is gone: ") + std::strerror(errno));
    sent += static_cast<std::size_t>(n);
  }
}

bool MessageReader::receive() {
  char chunk[1 << 16];
  ssize_t n = 0;
  while ((n = ::recv(socket_, chunk, sizeof chunk, 0)) < 0 && errno == EINTR) continue;
  if (n > 0) bytes_.append(chunk, static_cast<std::size_t>(n));
  return n > 0;
}

std::optional<nlohmann::json> MessageReader::next() {
  Length length = 0;
  if (bytes_.size() < sizeof length) return std::nullopt;
  std::memcpy(&length, bytes_.data(), sizeof length);
  if (bytes_.size() - sizeof length < length) return std::nullopt;
  const auto begin = bytes_.begin() + sizeof length;
  nlohmann::json message = nlohmann::json::from_cbor(begin, begin + static_cast<std::ptrdiff_t>(length));
  bytes_.erase(0, sizeof length + length);
  return message;
}

}  // namespace nmlbench
