// Tx: transactions of a channel (section 1.9 of the specification).
// method_info.h says how to read this.
#pragma once

#include "protocols/amqp/method_info.h"

namespace stele::amqp {

struct TxSelect : NoArguments {
  static constexpr MethodInfo kInfo{kTxClass, 10, "tx.select", kToServer | kSynchronous};
};

struct TxSelectOk : NoArguments {
  static constexpr MethodInfo kInfo{kTxClass, 11, "tx.select-ok", kToClient};
};

struct TxCommit : NoArguments {
  static constexpr MethodInfo kInfo{kTxClass, 20, "tx.commit", kToServer | kSynchronous};
};

struct TxCommitOk : NoArguments {
  static constexpr MethodInfo kInfo{kTxClass, 21, "tx.commit-ok", kToClient};
};

struct TxRollback : NoArguments {
  static constexpr MethodInfo kInfo{kTxClass, 30, "tx.rollback", kToServer | kSynchronous};
};

struct TxRollbackOk : NoArguments {
  static constexpr MethodInfo kInfo{kTxClass, 31, "tx.rollback-ok", kToClient};
};

}  // namespace stele::amqp
