"""Pinned facts of the exchange's documents, with their use here: used, known, ignored.

State    OpenAPI 3.34.0 and AsyncAPI 2.0.0 of October 2026 (docs/exchange-client.md), by their names.
Form     one text a message or schema: ``name:type`` known, ``name:type!`` used.
"""

from typing import Final

#: Channel -> used, known or ignored.
CHANNELS: Final = {
    "orderbook_delta": "used", "trade": "used", "ticker": "used", "market_lifecycle_v2": "used",
    "multivariate_market_lifecycle": "known", "fill": "used", "user_orders": "used",
    "market_positions": "known", "order_group_updates": "known", "communications": "ignored",
    "cfbenchmarks_value": "ignored", "cfbenchmarks_value_5hz": "ignored", "pyth_value": "ignored",
}  # fmt: skip

#: Type of a message -> fields of its ``msg``.
MESSAGES: Final = {
    "subscribed": "channel:string! sid:integer!",
    "unsubscribed": "",
    "ok": "market_tickers:array! market_ids:array",
    "error": "code:integer! msg:string! market_ticker:string market_tickers:array",
    "orderbook_snapshot":
        "market_ticker:string! market_id:string yes_dollars_fp:array! no_dollars_fp:array!",
    "orderbook_delta":
        "market_ticker:string! market_id:string price_dollars:string! delta_fp:string! side:string! "
        "ts_ms:integer! ts:string client_order_id:string subaccount:integer",
    "trade":
        "trade_id:string! market_ticker:string! yes_price_dollars:string! no_price_dollars:string "
        "count_fp:string! taker_side:string taker_outcome_side:string! taker_book_side:string "
        "is_block_trade:boolean! ts:integer ts_ms:integer!",
    "ticker":
        "market_ticker:string! market_id:string price_dollars:string yes_bid_dollars:string! "
        "yes_ask_dollars:string! yes_bid_size_fp:string! yes_ask_size_fp:string! "
        "last_trade_size_fp:string volume_fp:string open_interest_fp:string dollar_volume:integer "
        "dollar_open_interest:integer ts:integer ts_ms:integer! time:string",
    "market_lifecycle_v2":
        "market_ticker:string! event_type:string! exchange_index:integer open_ts:integer! close_ts:integer! "
        "determination_ts:integer! settled_ts:integer! result:string! settlement_value:string! "
        "is_deactivated:boolean! price_level_structure:string price_ranges:array! "
        "additional_metadata:object! strike_type:string floor_strike:number cap_strike:number "
        "custom_strike:object yes_sub_title:string",
    "event_lifecycle":
        "event_ticker:string! series_ticker:string exchange_index:integer title:string subtitle:string "
        "collateral_return_type:string strike_date:integer strike_period:string",
    "event_fee_update": "event_ticker:string! fee_type_override:string! fee_multiplier_override:number!",
    "multivariate_market_lifecycle":
        "market_ticker:string event_type:string exchange_index:integer open_ts:integer "
        "close_ts:integer determination_ts:integer settled_ts:integer result:string "
        "settlement_value:string is_deactivated:boolean additional_metadata:object "
        "price_level_structure:string",
    "fill":
        "trade_id:string order_id:string client_order_id:string market_ticker:string "
        "exchange_index:integer is_taker:boolean outcome_side:string book_side:string "
        "yes_price_dollars:string count_fp:string fee_cost:string post_position_fp:string "
        "ts_ms:integer side:string action:string purchased_side:string ts:integer subaccount:integer",
    "user_order":
        "order_id:string ticker:string status:string client_order_id:string user_id:string "
        "exchange_index:integer side:string is_yes:boolean outcome_side:string book_side:string "
        "yes_price_dollars:string fill_count_fp:string remaining_count_fp:string "
        "initial_count_fp:string taker_fill_cost_dollars:string maker_fill_cost_dollars:string "
        "taker_fees_dollars:string maker_fees_dollars:string order_group_id:string "
        "self_trade_prevention_type:string created_time:string created_ts_ms:integer "
        "last_updated_ts_ms:integer expiration_ts_ms:integer subaccount_number:integer "
        "last_update_reason:string last_update_time:string expiration_time:string",
    "market_position":
        "market_ticker:string position_fp:string user_id:string position_cost_dollars:string "
        "realized_pnl_dollars:string fees_paid_dollars:string position_fee_cost_dollars:string "
        "volume_fp:string subaccount:integer",
    "order_group_updates": "event_type:string order_group_id:string contracts_limit_fp:string ts_ms:integer",
}  # fmt: skip

#: Method and path below ``/trade-api/v2`` -> used or known; any other is ignored.
ENDPOINTS: Final = {
    "GET /exchange/status": "used", "GET /exchange/schedule": "used",
    "GET /exchange/user_data_timestamp": "used", "GET /series": "used", "GET /series/{series_ticker}": "used",
    "GET /series/fee_changes": "used", "GET /events": "used", "GET /events/{event_ticker}": "used",
    "GET /events/fee_changes": "used", "GET /events/multivariate": "known", "GET /markets": "used",
    "GET /markets/{ticker}": "used", "GET /markets/{ticker}/orderbook": "used",
    "GET /markets/orderbooks": "used", "GET /markets/trades": "used",
    "GET /series/{series_ticker}/markets/{ticker}/candlesticks": "used",
    "GET /markets/candlesticks": "known", "GET /historical/cutoff": "used",
    "GET /historical/trades": "used", "GET /historical/markets/{ticker}/candlesticks": "used",
    "GET /historical/markets": "known", "GET /historical/markets/{ticker}": "known",
    "GET /historical/fills": "known", "GET /historical/orders": "known",
    "GET /account/limits": "used", "GET /account/endpoint_costs": "used", "GET /api_keys": "used",
    "GET /portfolio/balance": "used", "GET /portfolio/positions": "used", "GET /portfolio/fills": "used",
    "GET /portfolio/orders": "used", "GET /portfolio/orders/{order_id}": "used",
    "GET /portfolio/orders/queue_positions": "known",
    "GET /portfolio/orders/{order_id}/queue_position": "known", "GET /portfolio/settlements": "used",
    "POST /portfolio/events/orders": "used", "DELETE /portfolio/events/orders": "used",
    "DELETE /portfolio/events/orders/{order_id}": "used",
    "POST /portfolio/events/orders/{order_id}/amend": "used",
    "POST /portfolio/events/orders/{order_id}/decrease": "used",
    "POST /portfolio/events/orders/batched": "known", "DELETE /portfolio/events/orders/batched": "used",
    "GET /portfolio/order_groups": "used", "GET /portfolio/order_groups/{order_group_id}": "used",
    "POST /portfolio/order_groups/create": "used", "DELETE /portfolio/order_groups/{order_group_id}": "used",
    "PUT /portfolio/order_groups/{order_group_id}/limit": "used",
    "PUT /portfolio/order_groups/{order_group_id}/reset": "used",
    "PUT /portfolio/order_groups/{order_group_id}/trigger": "used",
    "GET /search/tags_by_categories": "known",
    "POST /portfolio/intra_exchange_instance_transfer": "known",
}  # fmt: skip

#: Schema -> its fields.
SCHEMAS: Final = {
    "ExchangeStatus":
        "exchange_active:boolean! trading_active:boolean! exchange_estimated_resume_time:string! "
        "exchange_index_statuses:array! intra_exchange_transfers_active:boolean",
    "ExchangeIndexStatus":
        "exchange_index:integer! exchange_active:boolean! trading_active:boolean! description:string "
        "intra_exchange_transfers_active:boolean",
    "MaintenanceWindow":
        "start_datetime:string! end_datetime:string!",
    "Series":
        "ticker:string! title:string! category:string! categories:array! tags:array! fee_type:string! "
        "fee_multiplier:number! exchange_index:integer! frequency:string settlement_sources:array "
        "contract_url:string contract_terms_url:string product_metadata:object "
        "additional_prohibitions:array volume_fp:string last_updated_ts:string",
    "EventData":
        "event_ticker:string! series_ticker:string! title:string! category:string! "
        "mutually_exclusive:boolean! collateral_return_type:string! exchange_index:integer! "
        "markets:array! sub_title:string strike_date:string strike_period:string "
        "product_metadata:object settlement_sources:array last_updated_ts:string "
        "fee_type_override:string fee_multiplier_override:number",
    "Market":
        "ticker:string! event_ticker:string! status:string! open_time:string! close_time:string! "
        "expected_expiration_time:string! latest_expiration_time:string! can_close_early:boolean! "
        "yes_bid_dollars:string! yes_bid_size_fp:string! yes_ask_dollars:string! "
        "yes_ask_size_fp:string! last_price_dollars:string! volume_fp:string! "
        "open_interest_fp:string! result:string! settlement_value_dollars:string! "
        "settlement_ts:string! price_level_structure:string! price_ranges:array! "
        "exchange_index:integer! is_provisional:boolean! market_type:string title:string "
        "subtitle:string yes_sub_title:string no_sub_title:string created_time:string "
        "updated_time:string expiration_time:string settlement_timer_seconds:integer "
        "no_bid_dollars:string no_ask_dollars:string volume_24h_fp:string "
        "notional_value_dollars:string previous_yes_bid_dollars:string "
        "previous_yes_ask_dollars:string previous_price_dollars:string settlement_bounds_type:string "
        "settlement_floor_dollars:string expiration_value:string occurrence_datetime:string "
        "fee_waiver_expiration_time:string early_close_condition:string strike_type:string "
        "floor_strike:number cap_strike:number functional_strike:string custom_strike:object "
        "rules_primary:string rules_secondary:string mve_collection_ticker:string "
        "mve_selected_legs:array primary_participant_key:string",
    "OrderbookCountFp":
        "yes_dollars:array! no_dollars:array!",
    "Trade":
        "trade_id:string! ticker:string! count_fp:string! yes_price_dollars:string! "
        "taker_outcome_side:string! is_block_trade:boolean! created_time:string! "
        "no_price_dollars:string taker_side:string taker_book_side:string",
    "SeriesFeeChange":
        "series_ticker:string! fee_type:string! fee_multiplier:number! scheduled_ts:string! id:string",
    "EventFeeChange":
        "event_ticker:string! fee_type_override:string! fee_multiplier_override:number! "
        "scheduled_ts:string! id:string series_ticker:string",
    "BucketLimit":
        "refill_rate:integer! bucket_capacity:integer!",
    "EndpointTokenCost":
        "method:string! path:string! cost:integer!",
    "GetBalanceResponse":
        "balance:integer! balance_dollars:string! portfolio_value:integer! updated_ts:integer! "
        "balance_breakdown:array",
    "MarketPosition":
        "ticker:string! position_fp:string! market_exposure_dollars:string! "
        "realized_pnl_dollars:string! fees_paid_dollars:string! exchange_index:integer! "
        "last_updated_ts:string! total_traded_dollars:string",
    "Fill":
        "trade_id:string! order_id:string! ticker:string! book_side:string! yes_price_dollars:string! "
        "count_fp:string! fee_cost:string! is_taker:boolean! exchange_index:integer! "
        "created_time:string! fill_id:string market_ticker:string side:string action:string "
        "outcome_side:string no_price_dollars:string subaccount_number:integer ts:integer",
    "Order":
        "order_id:string! client_order_id:string! ticker:string! book_side:string! status:string! "
        "yes_price_dollars:string! initial_count_fp:string! fill_count_fp:string! "
        "remaining_count_fp:string! taker_fees_dollars:string! maker_fees_dollars:string! "
        "order_group_id:string! exchange_index:integer! created_time:string! last_update_time:string! "
        "user_id:string side:string action:string outcome_side:string type:string "
        "no_price_dollars:string taker_fill_cost_dollars:string maker_fill_cost_dollars:string "
        "expiration_time:string self_trade_prevention_type:string cancel_order_on_pause:boolean "
        "subaccount_number:integer",
    "Settlement":
        "ticker:string! event_ticker:string! market_result:string! yes_count_fp:string! "
        "no_count_fp:string! revenue:integer! fee_cost:string! value:integer! settled_time:string! "
        "exchange_index:integer yes_total_cost_dollars:string no_total_cost_dollars:string",
    "CreateOrderV2Request":
        "ticker:string! client_order_id:string! side:string! count:string! price:string! "
        "time_in_force:string! self_trade_prevention_type:string! post_only:boolean! "
        "reduce_only:boolean! expiration_time:integer! cancel_order_on_pause:boolean! "
        "order_group_id:string! subaccount:integer! exchange_index:integer!",
    "CreateOrderV2Response":
        "order_id:string! client_order_id:string! fill_count:string! remaining_count:string! "
        "ts_ms:integer! average_fill_price:string average_fee_paid:string",
    "AmendOrderV2Request":
        "ticker:string! side:string! price:string! count:string! client_order_id:string! "
        "updated_client_order_id:string! expiration_time:integer! exchange_index:integer!",
    "DecreaseOrderV2Request":
        "reduce_to:string! market_ticker:string! exchange_index:integer! reduce_by:string",
    "CancelOrderV2Response":
        "order_id:string! client_order_id:string! reduced_by:string! ts_ms:integer!",
}  # fmt: skip

#: Schema of an enumeration -> its values; all are used.
ENUMS: Final = {
    "OrderStatus": "resting canceled executed",
    "BookSide": "bid ask",
    "SelfTradePreventionType": "taker_at_cross maker",
    "FeeType": "quadratic quadratic_with_maker_fees quadratic_with_combo_maker_fees flat",
}
