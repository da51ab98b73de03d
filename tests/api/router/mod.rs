mod get_router_number;
mod receive_message;
mod receive_reaction;
mod update_delivery_status;
